// Makes the calls that stand on standard input, one after the other, with the AWS SDK as a user has it: only endpoint
// and credentials are given. Prints what came of each, with the JavaScript type of everything that JSON cannot tell.
//
//   {"endpoint": …, "accessKeyId": …, "secretAccessKey": …, "calls": [["rekognition", "DetectModerationLabels", {…}], …]}

import { readFileSync } from "node:fs";
import * as a2i from "@aws-sdk/client-sagemaker-a2i-runtime";
import * as rekognition from "@aws-sdk/client-rekognition";

const { endpoint, accessKeyId, secretAccessKey, calls } = JSON.parse(readFileSync(0, "utf8"));
const options = { endpoint, region: "us-east-1", credentials: { accessKeyId, secretAccessKey } };
const clients = {
  rekognition: [rekognition, new rekognition.RekognitionClient(options)],
  a2i: [a2i, new a2i.SageMakerA2IRuntimeClient(options)],
};

const bytesFrom = (_, value) => (value?.$base64 === undefined ? value : Buffer.from(value.$base64, "base64"));

// Date.prototype.toJSON would make a text of it before a replacer sees it.
Date.prototype.toJSON = function () {
  return { $date: this.toISOString() };
};

const results = [];
for (const [service, operation, input] of calls) {
  const [commands, client] = clients[service];
  const revived = JSON.parse(JSON.stringify(input), bytesFrom);
  try {
    const { $metadata, ...output } = await client.send(new commands[`${operation}Command`](revived));
    results.push({ output, metadata: $metadata });
  } catch (error) {
    const { name, message, $metadata, $fault, $service } = error;
    const modelled = typeof commands[name] === "function" && error instanceof commands[name];
    results.push({ error: { name, message, modelled, fault: $fault, service: $service }, metadata: $metadata });
  }
}
console.log(JSON.stringify(results));

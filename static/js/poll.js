// Asking again, at first soon and then less often.

const FIRST_MS = 500;
const LAST_MS = 5000;

/** Yields the JSON at `url` again and again; a failed request is asked again. Stops when the signal does. */
export async function* poll(url, signal) {
  for (let wait = FIRST_MS; !signal?.aborted; wait = Math.min(wait * 1.4, LAST_MS)) {
    await new Promise((resolve) => { setTimeout(resolve, wait); });
    if (document.hidden || signal?.aborted) continue;
    try {
      const answer = await fetch(url, { headers: { Accept: "application/json" }, signal });
      if (answer.ok) yield await answer.json();
    } catch {
      // Offline for a moment, or stopped.
    }
  }
}

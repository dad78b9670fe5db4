// The reviewer's desk.  Every action is a form or a link that works without this.
import "./review-desk.js";
import "./review-labels.js";
import "./review-lease.js";

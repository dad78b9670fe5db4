// One custom element per behaviour; every page works without them.
import "./copy-text.js";
import "./live-status.js";
import "./menu.js";
import "./upload-form.js";
import "./veiled-picture.js";

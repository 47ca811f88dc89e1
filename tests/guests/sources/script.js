// A guest in JavaScript that counts, looks at the clock, draws random numbers and logs. QuickJS has no console, and its
// Math.random was seeded when the component was built: every instance draws the same numbers, and asks no host for them.

import logging from "wasi:logging/logging";

let count = 0;

export const script = {
  increment() {
    count += 1;
    return count;
  },
  look() {
    return { count, milliseconds: Date.now(), random: Math.random() };
  },
  say(text) {
    logging.log("info", "script.js", text);
  },
};

// Segment's code generator: reads plan.json of a folder as its command does without a token, and writes TypeScript beside it.
const { writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { loadTrackingPlan } = require("typewriter/dist/api");
const { typescript } = require("typewriter/dist/languages");

(async () => {
  const folder = process.argv[2];
  const plan = await loadTrackingPlan(folder, { path: "." });
  const options = { header: [], outputFilename: "segment", sdk: "analytics-node" };
  const files = await typescript.generate(plan.rules, { version: "9.2.0", isDevelopment: false }, options);
  for (const [name, text] of files) writeFileSync(join(folder, name.endsWith(".ts") ? name : `${name}.ts`), text);
})();

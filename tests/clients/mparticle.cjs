// mParticle's own validator: a data plan version and a list of events, to a list of what is wrong with each.
const { readFileSync } = require("node:fs");
const { DataPlanService } = require("@mparticle/data-planning-node");

const [version, events] = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path)));
const service = new DataPlanService();
console.warn = (...said) => { throw new Error(said.join(" ")) };

(async () => {
  const judged = [];
  for (const event of events) {
    const { results } = await service.validateEvent(event, version);
    judged.push((results[0].data?.validation_errors ?? []).map((one) => one.validation_error_type));
  }
  console.log(JSON.stringify(judged));
})();

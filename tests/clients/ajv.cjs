// Ajv, strict and with formats: a list of {schema, values}, to a list of whether it takes each value. It reads patterns as Unicode.
const { readFileSync } = require("node:fs");
const { Ajv } = require("ajv");
const { Ajv2020 } = require("ajv/dist/2020");
const { default: addFormats } = require("ajv-formats");

const options = { keywords: ["x-tagline"] };
const [newest, older] = [new Ajv2020(options), new Ajv(options)];
addFormats(newest);
addFormats(older);

const judged = JSON.parse(readFileSync(process.argv[2])).map(({ schema, values }) => {
  const judge = (schema.$schema.includes("2020-12") ? newest : older).compile(schema);
  return values.map((value) => judge(value));
});
console.log(JSON.stringify(judged));

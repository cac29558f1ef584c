// What the AsyncAPI parser says of a document, and whether messages are what the document says of them.
// In: {"document": …, "messages": [[message name, event], …]}; out: {"said": [{severity, code, message, path}], "unfit": {…}}
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/");
const { Parser } = require("@asyncapi/parser");
const Ajv = require("ajv");
const addFormats = require("ajv-formats");

const { document, messages } = JSON.parse(readFileSync(0, "utf8"));
const { document: parsed, diagnostics } = await new Parser().parse(document);
const said = diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path: path.join("/") }));
const unfit = {};
const names = [];
if (parsed) {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  const known = new Map(parsed.allMessages().all().map((message) => [message.name(), message.payload().json()]));
  names.push(...known.keys());
  messages.forEach(([name, event], number) => {
    const fits = known.has(name) && ajv.compile(known.get(name));
    if (!fits) unfit[number] = `no message ${name}`;
    else if (!fits(event)) unfit[number] = ajv.errorsText(fits.errors);
  });
}
process.stdout.write(JSON.stringify({ said, unfit, names }));

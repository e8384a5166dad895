// Beside the contracts: compiles every .sol of this folder with npm's solc and writes one JSON line a contract to
// standard output, {name, abi, bytecode}; with --write, each into its own file. `node dex/contracts/compile.js --write`.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const solc = require("solc");

const sources = Object.fromEntries(
  fs.readdirSync(__dirname).filter((name) => name.endsWith(".sol")).sort()
    .map((name) => [name, { content: fs.readFileSync(path.join(__dirname, name), "utf8") }]),
);
const input = {
  language: "Solidity",
  sources,
  settings: {
    optimizer: { enabled: true, runs: 200 },
    evmVersion: "paris",
    metadata: { appendCBOR: false, bytecodeHash: "none" },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
if (output.errors?.length) {
  process.stderr.write(output.errors.map((error) => error.formattedMessage).join("\n"));
  process.exitCode = 1;
} else {
  for (const [file, contracts] of Object.entries(output.contracts)) {
    const name = path.basename(file, ".sol");
    const { abi, evm } = contracts[name];
    const line = `${JSON.stringify({ name, abi, bytecode: `0x${evm.bytecode.object}` })}\n`;
    if (process.argv.includes("--write")) fs.writeFileSync(path.join(__dirname, `${name}.json`), line);
    else process.stdout.write(line);
  }
}

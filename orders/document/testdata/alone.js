// The typesetter alone, for BenchmarkTypstAlone: reads {template, document, n}
// on standard input, sets n documents that differ in their number, and prints
// the nanoseconds they took and the microseconds of processor time.
"use strict";
const path = require("path");
const { NodeCompiler } = require(path.join(process.argv[1], "@myriaddreamin/typst-ts-node-compiler"));
const { template, document, n } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const typst = NodeCompiler.create({ workspace: "/nonexistent" });
const paper = JSON.parse(document);
function set(i) {
  paper.number = "2026-" + String(i).padStart(6, "0");
  const made = typst.compile({ mainFileContent: template, inputs: { document: JSON.stringify(paper) } });
  typst.pdf(made.result, { pdfStandard: "a-2a", creationTimestamp: 1 });
  typst.evictCache(10);
}
set(0);
const from = process.hrtime.bigint(), before = process.cpuUsage();
for (let i = 1; i <= n; i++) set(i);
const took = process.hrtime.bigint() - from, used = process.cpuUsage(before);
console.log(String(took), used.user + used.system);

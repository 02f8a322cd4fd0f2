// Typesets one small tagged document of each standard that is named:
//   node typst.js NODE_MODULES FOLDER STANDARD...
// writes FOLDER/STANDARD.pdf.
"use strict";
const fs = require("fs");
const path = require("path");
const [, , modules, folder, ...standards] = process.argv;
const { NodeCompiler } = require(path.join(modules, "@myriaddreamin/typst-ts-node-compiler"));
const typst = NodeCompiler.create({ workspace: "/nonexistent" });
const made = typst.compile({
  mainFileContent: `#set document(title: "Attestation", author: "Beaumarais")
#set text(lang: "fr")
= Attestation de résidence
#link("https://example.org")[Élise Née] habite ici.
#table(columns: 2, table.header[Nom][Rue], [Élise], [Été 1])`,
});
if (made.hasError()) throw new Error(JSON.stringify(typst.fetchDiagnostics(made.takeError())));
for (const standard of standards) {
  const pdf = typst.pdf(made.result, { pdfStandard: standard, creationTimestamp: 1780000000 });
  fs.writeFileSync(path.join(folder, standard + ".pdf"), pdf);
}

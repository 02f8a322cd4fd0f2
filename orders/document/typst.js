// The child of orders/document: requests come in on file descriptor 0, answers
// go out on 3, each a frame of four bytes of length (big endian) and as many
// bytes. A request is JSON {template, document, created, standard}. An answer is
// JSON {status, message}, and after status "ok" a second frame with the PDF.
// Reading blocks, so the end of the parent ends this process too.
"use strict";
const fs = require("fs");
const path = require("path");
const { NodeCompiler } = require(path.join(process.argv[1], "@myriaddreamin/typst-ts-node-compiler"));

function read(n) {
  const b = Buffer.alloc(n);
  for (let have = 0; have < n; ) {
    const got = fs.readSync(0, b, have, n - have, null);
    if (got === 0) process.exit(0);
    have += got;
  }
  return b;
}

function write(b) {
  const frame = Buffer.alloc(4 + b.length);
  frame.writeUInt32BE(b.length);
  b.copy(frame, 4);
  for (let done = 0; done < frame.length; ) done += fs.writeSync(3, frame, done);
}

function answer(status, message) {
  write(Buffer.from(JSON.stringify({ status, message: String(message || "").slice(0, 2000) })));
}

function failed(message) {
  answer(/could not be displayed/.test(message) ? "unprintable" : "error", message);
}

// The workspace does not exist: a template that reads a file gets an error.
const typst = NodeCompiler.create({ workspace: "/nonexistent" });

function render(r) {
  const made = typst.compile({ mainFileContent: r.template, inputs: { document: r.document } });
  if (made.hasError()) return failed(JSON.stringify(typst.fetchDiagnostics(made.takeError())));
  const pdf = typst.pdf(made.result, { pdfStandard: r.standard, creationTimestamp: r.created });
  answer("ok");
  write(pdf);
}

answer("ok"); // ready
for (;;) {
  const r = JSON.parse(read(read(4).readUInt32BE()).toString("utf8"));
  try {
    render(r);
  } catch (e) {
    failed(e && (e.code || e.message));
  }
  typst.evictCache(10);
}

package main

import (
	"path/filepath"
	"time"
)

const (
	signings = "^Benchmark(Seal|SealByToken|Key|PDFSign)$/^(RSA|P-256|rsa2048|p256)$"
	tokens   = "^BenchmarkSign$/^(rsa2048|p256)$"
	cards    = "^BenchmarkCardCheck$"
	order    = "^BenchmarkOrder$"
	perCPU   = "ops/cpu-s"
)

// rows are the goals, 0 where there is none. A rate per processor second is that of the
// server, or of the process that does the work and its children.
var rows = []row{
	{"sign-in, known session, 4 connections, durable", "go-oidc provider in memory", "/cpu-s", 1.2, false, ourSession(4), peerSession(4)},
	{"sign-in, known session, 64 connections, durable", "go-oidc provider in memory", "/cpu-s", 1.2, false, ourSession(64), peerSession(64)},
	{"check what 1,200 P-384 cards signed, with the chain", "one P-384 verification", "/cpu-s", 0.4, false,
		benchmark("idp", cards, "CardCheck/check", perCPU), benchmark("idp", cards, "CardCheck/raw", perCPU)},
	{"sign-in by those cards, all seven requests, durable", "one P-384 verification", "/cpu-s", 0, false, ourCards, benchmark("idp", cards, "CardCheck/raw", perCPU)},
	{"seal B-B of 50 KB, RSA-2048 in memory", "the key alone", "/cpu-s", 0.8, false,
		benchmark("signing/pades", signings, "Seal/RSA", perCPU), benchmark("signing/pades", signings, "Key/RSA", perCPU)},
	{"seal B-B of 50 KB, P-256 in memory", "pdfsign", "/cpu-s", 10, false,
		benchmark("signing/pades", signings, "Seal/P-256", perCPU), benchmark("signing/pades", signings, "PDFSign/P-256", perCPU)},
	{"seal B-B of 50 KB, RSA-2048 in SoftHSM", "the token alone", "/cpu-s", 0.85, false,
		benchmark("signing/pades", signings, "SealByToken/rsa2048", perCPU), benchmark("internal/p11", tokens, "Sign/rsa2048/raw", perCPU)},
	{"seal B-B of 50 KB, P-256 in SoftHSM", "the token alone", "/cpu-s", 0.45, false,
		benchmark("signing/pades", signings, "SealByToken/p256", perCPU), benchmark("internal/p11", tokens, "Sign/p256/raw", perCPU)},
	{"make one document", "Typst alone", "/cpu-s", 1.3, true,
		benchmark("orders/document", ".", "Render", perCPU), benchmark("orders/document", ".", "TypstAlone", perCPU)},
	{"order to sealed document, by the processor", "set, signed and kept, no more", "/cpu-s", 0.7, false,
		benchmark("cmd/belfry", order, "Order/whole", perCPU), benchmark("cmd/belfry", order, "Order/parts", perCPU)},
	{"order to sealed document, by the clock", "set, signed and kept, no more", "/s", 0.7, false,
		benchmark("cmd/belfry", order, "Order/whole", "orders/s"), benchmark("cmd/belfry", order, "Order/parts", "orders/s")},
}

func ourSession(connections int) func(*workshop) (figure, error) {
	return func(w *workshop) (figure, error) { return w.ours("session", load{Connections: connections}) }
}

func ourCards(w *workshop) (figure, error) { return w.ours("card", load{Connections: 4, Cards: true}) }

func (w *workshop) ours(kind string, l load) (figure, error) {
	program, err := w.tests("idp")
	if err != nil {
		return figure{}, err
	}
	return loadOn(l, program, []string{"-test.run", "^TestServe$"}, "BELFRY_BENCH_SERVE="+kind)
}

func peerSession(connections int) func(*workshop) (figure, error) {
	return func(w *workshop) (figure, error) {
		program, err := w.build(filepath.Join(w.root, "tools", "bench"), "peer", "build", "./peer")
		if err != nil {
			return figure{}, err
		}
		return loadOn(load{Connections: connections}, program, nil)
	}
}

func loadOn(l load, program string, args []string, env ...string) (figure, error) {
	s, stop, err := start(program, args, env...)
	if err != nil {
		return figure{}, err
	}
	defer stop()
	l.Warm, l.For = time.Second, 4*time.Second
	return s.under(l)
}

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	signings = "^Benchmark(Seal|SealByToken|Key|PDFSign)$/^(RSA|P-256|rsa2048|p256)$"
	tokens   = "^BenchmarkSign$/^(rsa2048|p256)$"
	perCPU   = "ops/cpu-s"
)

// rows are the goals. A rate per processor second is that of the server or the process
// that does the work; orders are counted by the clock, because they wait for the disk.
var rows = []row{
	{"sign-in, known session, 4 connections, durable", "go-oidc provider in memory", "/cpu-s", 1.2, false, ourSession(4), peerSession(4)},
	{"sign-in, known session, 64 connections, durable", "go-oidc provider in memory", "/cpu-s", 1.2, false, ourSession(64), peerSession(64)},
	{"sign-in by 1,200 P-384 cards, the whole way", "one P-384 verification", "/cpu-s", 0.4, false, ourCards, rawP384},
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
	{"order to sealed document", "set, signed and kept, no more", "/s", 0.7, false,
		benchmark("cmd/belfry", "^BenchmarkOrder$", "Order/whole", "orders/s"), benchmark("cmd/belfry", "^BenchmarkOrder$", "Order/parts", "orders/s")},
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

// rawP384 asks this program, on the servers' processor.
func rawP384(*workshop) (figure, error) {
	self, err := os.Executable()
	if err != nil {
		return figure{}, err
	}
	out, err := pinned(0, self, "p384").Output()
	if err != nil {
		return figure{}, err
	}
	var f figure
	err = json.Unmarshal(out, &f.rate)
	return f, err
}

// verifyP384 prints how many signatures a second of the processor verifies.
func verifyP384() error {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return err
	}
	digest := make([]byte, 48)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest)
	if err != nil {
		return err
	}
	before, err := cpuOf(os.Getpid())
	if err != nil {
		return err
	}
	n, after := 0, before
	for ; after-before < 2*time.Second; n++ {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest, signature) {
			return fmt.Errorf("a signature does not verify")
		}
		if after, err = cpuOf(os.Getpid()); err != nil {
			return err
		}
	}
	fmt.Println(float64(n) / (after - before).Seconds())
	return nil
}

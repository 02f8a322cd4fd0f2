// Package benchtest counts the processor time of benchmarks.
//
// Machines are shared and drift, so what a benchmark is worth is what it takes of the
// processor, beside a peer or a raw limit in the same run. It refuses to know what is
// measured. Only benchmarks import it.
package benchtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// CPU begins to count, and the function it returns reports what b did as operations
// per second of processor time ("ops/cpu-s"): of this process, its collector included,
// and on Linux of the children that it has. Call it at both ends of the loop; children
// that end between them are not counted rightly.
func CPU(b *testing.B) (report func()) {
	b.Helper()
	before := used(b)
	return func() {
		b.Helper()
		b.ReportMetric(float64(b.N)/(used(b)-before).Seconds(), "ops/cpu-s")
	}
}

func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	sum := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		b.Fatal(err)
	}
	for _, list := range lists {
		children, _ := os.ReadFile(list) // a thread may just have ended
		for _, pid := range bytes.Fields(children) {
			sum += ofProcess(b, string(pid))
		}
	}
	return sum
}

// ofProcess is the processor time that a process has taken, to a hundredth of a second
// (proc(5), utime and stime).
func ofProcess(b *testing.B, pid string) time.Duration {
	b.Helper()
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}

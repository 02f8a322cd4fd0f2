// Package benchtest counts the processor time of benchmarks.
//
// Machines are shared and drift, so what a benchmark is worth is what it takes of the
// processor, beside a peer or a raw limit in the same run. It refuses to know what is
// measured. Only benchmarks import it.
package benchtest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// CPU begins to count, and the function it returns reports what b did as operations
// per second of processor time ("ops/cpu-s"): this process's, with its collector, and
// that of the processes named (Linux only). Call it at both ends of the loop.
func CPU(b *testing.B, processes ...int) (report func()) {
	b.Helper()
	before := used(b, processes)
	return func() {
		b.Helper()
		b.ReportMetric(float64(b.N)/(used(b, processes)-before).Seconds(), "ops/cpu-s")
	}
}

func used(b *testing.B, processes []int) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	sum := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	for _, pid := range processes {
		other, err := Process(pid)
		if err != nil {
			b.Fatal(err)
		}
		sum += other
	}
	return sum
}

// Process is the processor time that a running process has taken, to a hundredth of
// a second (proc(5), utime and stime).
func Process(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat of process %d has another form", pid)
	}
	user, err := strconv.ParseInt(string(fields[11]), 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * (time.Second / 100), err
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// workshop builds programs, runs them, and remembers for one round what the
// benchmarks of a package gave.
type workshop struct {
	root, dir string
	built     map[string]string
	measured  map[string]map[string]float64 // package and pattern -> name and unit
}

// build makes a program once.
func (w *workshop) build(in, name, verb string, args ...string) (string, error) {
	if path, ok := w.built[name]; ok {
		return path, nil
	}
	path := filepath.Join(w.dir, name)
	cmd := exec.Command("go", append([]string{verb, "-o", path}, args...)...)
	cmd.Dir, cmd.Stderr = in, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s %s: %w", verb, strings.Join(args, " "), err)
	}
	if w.built == nil {
		w.built = map[string]string{}
	}
	w.built[name] = path
	return path, nil
}

// tests makes the test program of one of our packages.
func (w *workshop) tests(pkg string) (string, error) {
	return w.build(w.root, strings.ReplaceAll(pkg, "/", "-")+".test", "test", "-c", "./"+pkg)
}

// benchmarks runs the benchmarks of a package that match, once in a round.
func (w *workshop) benchmarks(pkg, pattern string) (map[string]float64, error) {
	if m, ok := w.measured[pkg+" "+pattern]; ok {
		return m, nil
	}
	program, err := w.tests(pkg)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", "2s")
	cmd.Dir, cmd.Stderr = filepath.Join(w.root, pkg), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", pkg, err, out)
	}
	if w.measured == nil {
		w.measured = map[string]map[string]float64{}
	}
	w.measured[pkg+" "+pattern] = parse(out)
	return w.measured[pkg+" "+pattern], nil
}

var (
	benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-[0-9]+)?\s+[0-9]+\s+(.*)$`)
	metric    = regexp.MustCompile(`([0-9.e+]+) (\S+)`)
)

// parse reads what `go test -bench` prints into "Name/sub unit" -> value.
func parse(out []byte) map[string]float64 {
	m := map[string]float64{}
	for _, line := range benchLine.FindAllSubmatch(out, -1) {
		for _, one := range metric.FindAllSubmatch(line[2], -1) {
			if v, err := strconv.ParseFloat(string(one[1]), 64); err == nil {
				m[string(line[1])+" "+string(one[2])] = v
			}
		}
	}
	return m
}

// benchmark is the figure of one of our benchmarks, for a row.
func benchmark(pkg, pattern, name, unit string) func(*workshop) (figure, error) {
	return func(w *workshop) (figure, error) {
		m, err := w.benchmarks(pkg, pattern)
		if err != nil {
			return figure{}, err
		}
		v, ok := m[name+" "+unit]
		if !ok {
			return figure{}, fmt.Errorf("%s says nothing of %s in %s (was it skipped for want of a tool?)", pkg, name, unit)
		}
		return figure{rate: v}, nil
	}
}

// pinned is a command on one processor, where the machine has two and can do that.
// A Go program then runs as if there were no other.
func pinned(processor int, name string, args ...string) *exec.Cmd {
	if taskset, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > 1 {
		return exec.Command(taskset, append([]string{"-c", strconv.Itoa(processor), name}, args...)...)
	}
	return exec.Command(name, args...)
}

// server is a provider that runs.
type server struct {
	service
	cmd *exec.Cmd
}

func start(program string, args []string, env ...string) (*server, func(), error) {
	cmd := pinned(0, program, args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), nil
	in, err := cmd.StdinPipe() // its end is the server's
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop := func() {
		in.Close()
		cmd.Wait()
	}
	s := &server{cmd: cmd}
	if err := json.NewDecoder(out).Decode(&s.service); err != nil {
		stop()
		return nil, nil, fmt.Errorf("%s does not serve: %w", filepath.Base(program), err)
	}
	go func() { // what it says besides is of no interest, and must not block it
		b := make([]byte, 4096)
		for {
			if _, err := out.Read(b); err != nil {
				return
			}
		}
	}()
	return s, stop, nil
}

// under puts a load on a server from the other processor.
func (s *server) under(l load) (figure, error) {
	l.Service, l.PID = s.service, s.cmd.Process.Pid
	order, err := json.Marshal(l)
	if err != nil {
		return figure{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return figure{}, err
	}
	cmd := pinned(1, self, "generate")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(order), os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return figure{}, err
	}
	var got loaded
	if err := json.Unmarshal(answer, &got); err != nil {
		return figure{}, err
	}
	if got.Done == 0 {
		return figure{}, errors.New("nothing was done: " + got.Failure)
	}
	return figure{rate: float64(got.Done) / got.CPU.Seconds(), failed: got.Failed, tried: got.Done + got.Failed}, nil
}

// cpuOf is the processor time that a process has taken (proc(5), utime and stime).
func cpuOf(pid int) (time.Duration, error) {
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

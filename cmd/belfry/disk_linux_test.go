package main

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// disk is a small file system of its own.
type disk struct {
	t   testing.TB
	dir string
}

func newDisk(t testing.TB, size string) *disk {
	t.Helper()
	d := &disk{t, t.TempDir()}
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("CI") == "true" && os.Getuid() == 0 {
			t.Fatalf("mount: %v", err)
		}
		t.Skipf("a small file system needs root: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(d.dir, syscall.MNT_DETACH) })
	return d
}

func (d *disk) filler() string { return filepath.Join(d.dir, "filler") }

// fill leaves no byte.
func (d *disk) fill() {
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Error(err)
		return
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(bytes.Repeat([]byte("x"), size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			d.t.Error(err)
		}
	}
}

func (d *disk) free() {
	if err := os.Remove(d.filler()); err != nil {
		d.t.Error(err)
	}
}

// The disk is full at each step of an order in turn. Whoever is not served is told so,
// nothing half done is seen, and all goes on when there is room again.
func TestDiskFull(t *testing.T) {
	small := newDisk(t, "6m")
	b := startBroken(t, func(f *belfryFile) {
		f.table("server")["data"] = filepath.Join(small.dir, "data")
		f.table("database")["url"] = "sqlite:" + filepath.Join(small.dir, "belfry.db")
	})
	citizen, desk := b.signedIn("luc"), b.clerk("beaumarais", "claire")
	b.through([]*deal{b.newDeal(citizen, desk)}, (*deal).all)
	told := 0
	answer := func(p *person, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if p.status >= 400 { // SQLite may have had room left in its log
			told++
			p.want(503)
			p.says(i18n.French, "fault.full")
		}
	}
	for range 2 {
		d := b.newDeal(citizen, desk)
		small.fill()
		answer(d.citizen, d.citizen.trySend("/send"))
		small.free()
		b.through([]*deal{d}, (*deal).submit)
		for _, button := range []string{"/prepare", "/approve"} {
			d.desk.get(d.deskPage())
			small.fill()
			answer(d.desk, d.desk.trySend(button))
			small.free()
			if d.desk.status != 200 {
				d.desk.get(d.deskPage())
				d.desk.send(button)
				d.desk.want(200)
			}
		}
		b.through([]*deal{d}, (*deal).all)
	}
	if told == 0 {
		t.Error("nobody met the full disk")
	}
	l := b.ledger(b.database())
	// And full from the moment the token has signed.
	d := b.newDeal(citizen, desk)
	calls, filled := b.calls(), make(chan struct{})
	b.server.set(func(point) fate {
		if b.calls() > calls {
			calls = math.MaxInt
			small.fill()
			close(filled)
		}
		return goOn
	})
	b.through([]*deal{d}, (*deal).submit)
	d.desk.get(d.deskPage())
	d.desk.send("/prepare")
	d.desk.want(200)
	d.desk.trySend("/approve") // by the time the answer is written the disk may be full
	<-filled
	time.Sleep(time.Second)
	if now := b.ledger(b.database()); now.papers != l.papers {
		t.Errorf("a paper on a full disk: %v", now)
	}
	small.free()
	begin := time.Now()
	b.waits(b.database(), 1)
	b.hurry(b.database())
	b.through([]*deal{d}, (*deal).all)
	t.Logf("%d times somebody was told; %v after there was room the paper was there; %v", told, time.Since(begin).Round(time.Millisecond), b.holds())
}

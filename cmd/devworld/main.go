// Command devworld is the world outside Belfry, on loopback, for development and tests.
//
//	devworld [--dir var]     make the world, or resume it, and start Belfry in it
//
// It owns cards and their holders, the responders of their PKI, a timestamp authority, a
// National Register, a mail server that keeps all mail, the front that people's browsers
// reach on ports 8080 and 8443, and the settings file of the Belfry it starts. It refuses
// to know how Belfry works inside: it starts two programs and speaks their protocols.
// It guarantees that everybody and everything in it is invented, that it listens on
// loopback only, and that nothing it makes lies outside its own directory.
//
// What is where is written to var/world.json; see worldfile.go for its members.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func init() {
	// Children are told to end when the thread that started them does (children_linux.go):
	// the main goroutine starts them, and stays on the main thread.
	runtime.LockOSThread()
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "devworld:", err)
		os.Exit(1)
	}
}

// config is what the command line says.
type config struct {
	dir      string
	http     int // the front
	https    int
	services int // PKI, cards, register, control
	belfry   int
	operator int // Belfry's operator address
	smtp     int
	agent    int    // of the card reading program; 0 for the ports that login pages know
	modules  string // node_modules of the renderer
	database string
	bin      string // folder of the programs to start; "" for this program's own
	alone    bool   // start neither
	ways     []way  // how papers are come by, where not as the catalogue says
}

func parse(args []string, out io.Writer) (config, error) {
	var c config
	f := flag.NewFlagSet("devworld", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&c.dir, "dir", "var", "where the world is kept")
	f.IntVar(&c.http, "http", 8080, "port of the addresses people use")
	f.IntVar(&c.https, "https", 8443, "port of the same addresses over https")
	f.IntVar(&c.services, "services", 8082, "port of responders, cards and register; certificates name it")
	f.IntVar(&c.belfry, "belfry", 8081, "port of Belfry behind the front")
	f.IntVar(&c.operator, "operator", 8083, "port of Belfry's operator address")
	f.IntVar(&c.smtp, "smtp", 2525, "port of the mail server")
	f.IntVar(&c.agent, "agent", 0, "port of the card reading program; the usual ones by default")
	f.StringVar(&c.modules, "modules", "", "node_modules folder with the document renderer")
	f.StringVar(&c.database, "database", "sqlite:belfry.db", "Belfry's database; a relative file lies in the world's folder")
	f.StringVar(&c.bin, "bin", "", "folder of belfry and eid-agent; this program's own by default")
	f.BoolVar(&c.alone, "alone", false, "do not start belfry and eid-agent")
	f.Func("way", "how a commune comes by a paper, as zandvoorde.residence=source (or made, attached); may be repeated", func(s string) error {
		w, err := parseWay(s)
		c.ways = append(c.ways, w)
		return err
	})
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	return c, nil
}

// run makes the world and lives in it until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	c, err := parse(args, out)
	if err != nil {
		return err
	}
	w, err := open(c, out)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.serve(); err != nil {
		return err
	}
	if !c.alone {
		w.startChildren(ctx)
		defer w.stopChildren()
	}
	w.tell(out)
	<-ctx.Done()
	fmt.Fprintln(out, "\nEnding the world. It resumes where it was.")
	return nil
}

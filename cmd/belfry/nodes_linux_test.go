package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/blob/s3/s3test"
	"github.com/belfry-eid/belfry/internal/kv/redis/redistest"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

// nodes are two lives of belfry behind a balancer, which gives each request to the next
// one that takes a connection: no browser stays with a node.
type nodes struct {
	*broken // the first; the second is other
	other   *broken
	next    atomic.Int64
	each    [2]atomic.Int64 // requests answered by each
}

// startNodes starts both, on PostgreSQL, Redis and an S3 store.
func startNodes(t *testing.T, db *sqldbtest.Server, sessions *redistest.Group, store *s3test.Server) *nodes {
	t.Helper()
	n := &nodes{}
	secret := filepath.Join(t.TempDir(), "s3")
	if err := os.WriteFile(secret, []byte(store.SecretKey), 0o400); err != nil {
		t.Fatal(err)
	}
	port := freePorts(t, 3)
	var public string
	change := func(f *belfryFile) {
		server := f.table("server")
		public, server["listen"] = server["listen"].(string), fmt.Sprintf("127.0.0.1:%d", port[0])
		(*f)["redis"] = map[string]any{"addresses": sessions.Sentinels, "primary": sessions.Name}
		(*f)["s3"] = map[string]any{"endpoint": "http://" + store.Address, "bucket": s3test.Bucket, "prefix": "nodes/", "access_key": store.AccessKey, "secret_key_file": secret}
	}
	n.broken = startBroken(t, change, "--database", db.URL)

	world := *n.world
	world.Belfry.Operator = fmt.Sprintf("http://127.0.0.1:%d", port[2])
	world.Belfry.Log += "2"
	n.other = &broken{world: &world, token: n.token, signed: n.signed, config: filepath.Join(n.dir, "other.toml")}
	n.other.settle(func(f *belfryFile) {
		server := f.table("server")
		server["listen"], server["operator"], server["data"] = fmt.Sprintf("127.0.0.1:%d", port[1]), fmt.Sprintf("127.0.0.1:%d", port[2]), "data2"
	})
	n.other.start()
	n.balance(public, [2]string{fmt.Sprintf("127.0.0.1:%d", port[0]), fmt.Sprintf("127.0.0.1:%d", port[1])})
	return n
}

func (n *nodes) balance(public string, at [2]string) {
	n.t.Helper()
	l, err := net.Listen("tcp", public)
	if err != nil {
		n.t.Fatal(err)
	}
	dialer := &net.Dialer{Timeout: time.Second}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "nodes"})
			r.Out.Host = r.In.Host
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
		},
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (conn net.Conn, err error) {
			first := int(n.next.Add(1))
			for i := range 2 {
				node := (first + i) % 2
				if conn, err = dialer.DialContext(ctx, network, at[node]); err == nil {
					n.each[node].Add(1)
					return conn, nil
				}
			}
			return nil, err
		}},
	}
	server := &http.Server{Handler: proxy}
	go server.Serve(l)
	n.t.Cleanup(func() { server.Close() })
}

// under does a step of many deals at once, and meanwhile breaks something.
func (n *nodes) under(deals []*deal, meanwhile func()) {
	n.t.Helper()
	var wg sync.WaitGroup
	for _, d := range deals {
		wg.Go(func() {
			if err := d.all(); err != nil {
				n.t.Error(err)
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	meanwhile()
	wg.Wait()
	if n.t.Failed() {
		n.t.Fatalf("the logs:\n%s\n%s", n.log(30), n.other.log(30))
	}
}

// Two nodes, and one dies, Redis fails over, PostgreSQL and the store die and come back,
// each while orders are on their way: what was acknowledged is there, numbers and papers
// are given once, and no proof is good twice.
func TestTwoNodes(t *testing.T) {
	db, sessions, store := sqldbtest.OwnPostgres(t), redistest.NewGroup(t), s3test.New(t)
	n := startNodes(t, db, sessions, store)
	citizens := []*person{n.signedIn("luc"), n.signedIn("amina"), n.signedIn("luc")}
	desk := n.clerk("beaumarais", "claire")
	some := func() (deals []*deal) {
		for _, c := range citizens {
			deals = append(deals, n.newDeal(c, desk))
		}
		return deals
	}

	n.under(some(), func() {})
	for node := range n.each {
		if n.each[node].Load() == 0 {
			t.Errorf("node %d answered nothing", node)
		}
	}
	began := time.Now()
	n.under(some(), func() { n.other.server.kill() })
	t.Logf("a node died: all done after %v", time.Since(began).Round(time.Millisecond))
	n.other.start()

	began = time.Now()
	n.under(some(), func() {
		db.Kill()
		time.Sleep(time.Second)
		db.Start()
	})
	t.Logf("PostgreSQL died and was away for a second: all done after %v", time.Since(began).Round(time.Millisecond))

	began = time.Now()
	n.under(some(), func() {
		store.Kill()
		time.Sleep(time.Second)
		store.Start()
	})
	t.Logf("the store of documents died and was away for a second: all done after %v", time.Since(began).Round(time.Millisecond))

	late := atCard(n.world, "beaumarais")
	before, form := late.here(), find(late.page, cardStep)
	action, token := attr(form, "action"), n.world.token(n.card("amina"), late.at.Scheme+"://"+late.at.Host, attr(form, "data-nonce"))
	late.send(action, "token", token)
	late.want(200)
	began = time.Now()
	n.under(some(), func() { sessions.Primary().Kill() })
	t.Logf("Redis failed over: all done after %v", time.Since(began).Round(time.Millisecond))
	again := newPerson(t)
	again.client = late.client
	again.back(before)
	if again.trySend(action, "token", token); again.status < 400 {
		t.Errorf("a card's proof was good a second time: %d at %s", again.status, again.at)
	}
	t.Log(n.holds())
}

package main

import (
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv/redis/redistest"
)

// Sessions lie in Redis: its primary dies, its memory is lost, and all of it is away. Who
// is not served is told so, nobody becomes somebody else, and no proof is good twice.
func TestRedisFails(t *testing.T) {
	g := redistest.NewGroup(t)
	b := startBroken(t, func(f *belfryFile) {
		(*f)["redis"] = map[string]any{"addresses": g.Sentinels, "primary": g.Name}
	})
	b.command(0, "check", "--config", b.config)
	b.signed = b.token.Signatures() // the check has signed with each key
	citizen, desk := b.signedIn("luc"), b.clerk("beaumarais", "claire")
	b.through([]*deal{b.newDeal(citizen, desk)}, (*deal).all)

	late := atCard(b.world, "beaumarais")
	before, form := late.here(), find(late.page, cardStep)
	action, token := attr(form, "action"), b.world.token(b.card("amina"), late.at.Scheme+"://"+late.at.Host, attr(form, "data-nonce"))
	late.send(action, "token", token)
	late.want(200)

	g.Primary().Kill()
	begin := time.Now()
	told := 0
	for end := begin.Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := citizen.tryGet(b.origin("beaumarais") + "/fr/orders")
		if err == nil && citizen.status == 200 {
			break
		}
		if err != nil || citizen.status != 503 {
			t.Fatalf("meanwhile: %v, %d: %s", err, citizen.status, citizen.text())
		}
		told++
		citizen.says(i18n.French, "fault.sessions_away")
		if time.Now().After(end) {
			t.Fatal("nobody is served")
		}
	}
	t.Logf("served again after %v, told so %d times", time.Since(begin).Round(10*time.Millisecond), told)
	b.through([]*deal{b.newDeal(b.signedIn("luc"), desk)}, (*deal).all)

	again := newPerson(t)
	again.client = late.client
	again.back(before)
	if again.trySend(action, "token", token); again.status < 400 {
		t.Errorf("a card's proof was good a second time: %d at %s", again.status, again.at)
	}

	if answer := g.Primary().Do("FLUSHALL"); answer != "OK" {
		t.Fatal(answer)
	}
	citizen.get(b.origin("beaumarais") + "/fr/orders")
	if citizen.at.Host != before.p.at.Host {
		t.Errorf("without its session the browser is at %s", citizen.at)
	}
	for _, n := range g.Nodes {
		n.Kill()
	}
	stranger := newPerson(t)
	stranger.get(b.origin("beaumarais") + "/")
	stranger.want(200)
	citizen.get(b.origin("beaumarais") + "/fr/orders")
	citizen.want(503)
	citizen.says(i18n.French, "fault.sessions_away")
	t.Log(b.holds())
	b.command(1, "check", "--config", b.config)
}

package jobs

import (
	"context"
	"database/sql"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// baseDriver is River's driver on the connections that write.
func baseDriver(db *sqldb.DB) riverdriver.Driver[*sql.Tx] {
	if db.Engine() == sqldb.SQLite {
		return riversqlite.New(db.Writer())
	}
	return riverdatabasesql.New(db.Writer())
}

// pokedDriver tells River of new jobs inside the process, after their commit.
// River's own way on SQLite is a table that it reads twenty times in a second,
// and on PostgreSQL through database/sql it has none.
type pokedDriver struct {
	riverdriver.Driver[*sql.Tx]
	pokes *pokes
}

func (q *Queue) driver() riverdriver.Driver[*sql.Tx] { return pokedDriver{baseDriver(q.db), q.pokes} }

func (d pokedDriver) SupportsListener() bool     { return true }
func (d pokedDriver) SupportsListenNotify() bool { return false }
func (d pokedDriver) GetListener(p *riverdriver.GetListenenerParams) riverdriver.Listener {
	return &listener{pokes: d.pokes, schema: p.Schema}
}

// pokes are the listeners that want to hear of new jobs.
type pokes struct{ c chan struct{} }

func newPokes() *pokes { return &pokes{make(chan struct{}, 1)} }

// poke wakes the listener; one wake-up stands for all that came before it.
func (p *pokes) poke() {
	select {
	case p.c <- struct{}{}:
	default:
	}
}

// listener is the receiving end that River asks for.
type listener struct {
	pokes  *pokes
	schema string
}

// insertTopic and insertPayload are what River 0.51 listens for.
const (
	insertTopic   = "river_insert"
	insertPayload = `{"queue": "` + river.QueueDefault + `"}`
)

func (l *listener) Close(context.Context) error            { return nil }
func (l *listener) Connect(context.Context) error          { return nil }
func (l *listener) Listen(context.Context, string) error   { return nil }
func (l *listener) Unlisten(context.Context, string) error { return nil }
func (l *listener) Ping(context.Context) error             { return nil }
func (l *listener) Schema() string                         { return l.schema }
func (l *listener) SetAfterConnectExec(string)             {}

func (l *listener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.pokes.c:
		return &riverdriver.Notification{Topic: insertTopic, Payload: insertPayload}, nil
	}
}

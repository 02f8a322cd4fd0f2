// Package redis keeps values of kv in Redis: one server, a primary that Sentinel names,
// or a cluster.
//
// It owns the connection and the commands. It refuses to be the only holder of
// anything that must not be lost or used twice: Redis replicates asynchronously, so a
// value that was acknowledged may be gone after a fail-over. That costs a sign-in and
// never allows a replay, because what is good once is consumed in SQL. It guarantees
// that a server that is away or full is a fault of kind Unreachable, so that people are
// told to come back and nobody is taken for somebody else or for nobody; and that a
// value whose lifetime is over by our clock is not returned, whatever Redis thinks.
package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/kv"
)

// Config says where Redis is.
type Config struct {
	// Addresses are host:port or the path of a socket: of the one server, of the
	// sentinels where Primary is set, of some nodes of a cluster where Cluster is.
	Addresses []string
	Primary   string // the name by which the sentinels know the primary
	Cluster   bool
	Username  string
	Password  string
	// SentinelPassword is that of the sentinels, where they have one.
	SentinelPassword string
	Database         int            // number of the database; not in a cluster
	Prefix           string         // before every key, where others use the same Redis; "belfry:" where empty
	Roots            *x509.CertPool // not nil: TLS, and whom to believe
	Clock            clock.Clock
}

const (
	dialTimeout    = 2 * time.Second
	commandTimeout = time.Second // a page waits for several
	expirySize     = 8           // bytes before each value: microseconds since 1970, until when it lives
)

// Store is a kv.Store in Redis. It is safe for concurrent use.
type Store struct {
	client goredis.UniversalClient
	prefix string
	now    clock.Clock
}

var _ kv.Store = (*Store)(nil)

// New makes a store. It does not connect: a Redis that is away when a process starts is
// away as it is at any other time.
func New(cfg Config) (*Store, error) {
	switch {
	case len(cfg.Addresses) == 0:
		return nil, errors.New("redis: no address")
	case cfg.Cluster && cfg.Primary != "":
		return nil, errors.New("redis: a cluster has no sentinels")
	case cfg.Cluster && cfg.Database != 0:
		return nil, errors.New("redis: a cluster has one database, number 0")
	case !cfg.Cluster && cfg.Primary == "" && len(cfg.Addresses) > 1:
		return nil, errors.New("redis: several addresses are those of sentinels (then name the primary) or of a cluster")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "belfry:"
	}
	goredis.SetLogger(quiet{})
	o := &goredis.UniversalOptions{
		Addrs: cfg.Addresses, MasterName: cfg.Primary, IsClusterMode: cfg.Cluster, DB: cfg.Database,
		Username: cfg.Username, Password: cfg.Password, SentinelPassword: cfg.SentinelPassword,
		DialTimeout: dialTimeout, ReadTimeout: commandTimeout, WriteTimeout: commandTimeout, ContextTimeoutEnabled: true,
		MaxRetries: 2, MaxRetryBackoff: 200 * time.Millisecond,
	}
	if cfg.Roots != nil {
		o.TLSConfig = &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12}
	}
	return &Store{client: goredis.NewUniversalClient(o), prefix: cfg.Prefix, now: cfg.Clock}, nil
}

// quiet keeps the library's own words for who looks for them: each failure reaches our
// log with the request that met it.
type quiet struct{}

func (quiet) Printf(ctx context.Context, format string, v ...any) {
	slog.DebugContext(ctx, "redis: "+fmt.Sprintf(format, v...))
}

// Close ends the connections.
func (s *Store) Close() error { return s.client.Close() }

// Ping says whether Redis answers and takes what it is given.
func (s *Store) Ping(ctx context.Context) error {
	const key = "ping"
	return s.Put(ctx, key, []byte(key), time.Minute)
}

// Forget removes every value and counter under the prefix: after an older state of the
// database was restored, sessions that had ended would live again.
func (s *Store) Forget(ctx context.Context) error {
	sweep := func(ctx context.Context, node goredis.Cmdable) error {
		for cursor := uint64(0); ; {
			keys, next, err := node.Scan(ctx, cursor, s.prefix+"*", 1000).Result()
			if err != nil {
				return err
			}
			for _, key := range keys { // one by one: those of a cluster's node lie in many slots
				if err := node.Del(ctx, key).Err(); err != nil {
					return err
				}
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	}
	if cluster, ok := s.client.(*goredis.ClusterClient); ok {
		return wrap(cluster.ForEachMaster(ctx, func(ctx context.Context, node *goredis.Client) error { return sweep(ctx, node) }))
	}
	return wrap(sweep(ctx, s.client))
}

func (s *Store) value(key string) string   { return s.prefix + "v:" + key }
func (s *Store) counter(key string) string { return s.prefix + "n:" + key }

// Put implements kv.Store.
func (s *Store) Put(ctx context.Context, key string, v []byte, ttl time.Duration) error {
	if ttl <= 0 {
		return errors.New("kv: a value needs a lifetime")
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, expirySize+len(v)), uint64(s.now().Add(ttl).UnixMicro()))
	return wrap(s.client.Set(ctx, s.value(key), append(b, v...), rounded(ttl)).Err())
}

// Get implements kv.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	return s.living(s.client.Get(ctx, s.value(key)).Bytes())
}

// Take implements kv.Store.
func (s *Store) Take(ctx context.Context, key string) ([]byte, error) {
	return s.living(s.client.GetDel(ctx, s.value(key)).Bytes())
}

// living is a value without its expiry, ErrMissing where that is over.
func (s *Store) living(b []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, wrap(err)
	}
	if len(b) < expirySize {
		return nil, fmt.Errorf("redis: a value of %d bytes is none of ours", len(b))
	}
	if int64(binary.BigEndian.Uint64(b)) <= s.now().UnixMicro() {
		return nil, wrap(goredis.Nil)
	}
	return b[expirySize:], nil
}

// Delete implements kv.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	return wrap(s.client.Del(ctx, s.value(key)).Err())
}

// counting adds one to a counter whose window is open, and begins one anew otherwise.
// The window is that of the first call.
var counting = goredis.NewScript(`
local ends = tonumber(redis.call('HGET', KEYS[1], 'ends'))
if not ends or ends <= tonumber(ARGV[1]) then
	redis.call('HSET', KEYS[1], 'ends', ARGV[2], 'n', 1)
	redis.call('PEXPIRE', KEYS[1], ARGV[3])
	return 1
end
return redis.call('HINCRBY', KEYS[1], 'n', 1)`)

// Incr implements kv.Store.
func (s *Store) Incr(ctx context.Context, key string, ttl time.Duration) (int64, error) {
	if ttl <= 0 {
		return 0, errors.New("kv: a counter needs a lifetime")
	}
	now := s.now()
	n, err := counting.Run(ctx, s.client, []string{s.counter(key)}, now.UnixMicro(), now.Add(ttl).UnixMicro(), rounded(ttl).Milliseconds()).Int64()
	return n, wrap(err)
}

// rounded is a lifetime in whole milliseconds, never 0: Redis would keep the value for ever.
func rounded(ttl time.Duration) time.Duration {
	return max(time.Millisecond, ttl.Round(time.Millisecond))
}

// wrap says what an error means to who asked. A Redis that answers with an error (it is
// full, loading, or read-only after a fail-over) serves as little as one that is silent.
func wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, goredis.Nil):
		return fmt.Errorf("redis: %w", kv.ErrMissing)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("redis: %w", err)
	}
	return fault.New(fault.Unreachable, "fault.sessions_away", fmt.Errorf("redis: %w", err))
}

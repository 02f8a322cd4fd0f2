// Package s3 keeps files in an S3-compatible store, for installs of several nodes.
//
// It owns the names of the objects (PREFIX COMMUNE/ab/abcd…, as blob.Dir names its files)
// and is the only door to minio-go. It refuses to know what the files are. It guarantees
// what blob.Store promises: the store answers a Put only once the object is durable and
// whole, its checksum is sent along so that damage on the way is refused, and what is read
// is held against its name before a byte goes out.
//
// Implements the part of the Amazon S3 API that every compatible store has: PutObject,
// GetObject, ListObjectsV2, HeadBucket, multipart uploads; signature version 4.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/loopback"
)

const (
	patience = 30 * time.Second // for the head of one answer
	tries    = 4                // of one request, a second apart at most
	partSize = 16 << 20         // of an upload that is larger: memory for one
)

// Config of New. Endpoint, Bucket, AccessKey and SecretKey must be set.
type Config struct {
	Endpoint  string // host or host:port
	Plain     bool   // http, for a store on this machine
	Region    string // "us-east-1" where empty, as most stores call theirs
	Bucket    string // which exists
	Prefix    string // of every object, for example "belfry/"
	AccessKey string
	SecretKey string
	Roots     *x509.CertPool // vouch for the store; the system's where nil
	// Scratch is a folder for files on their way; the system's where empty. As much room
	// is needed as the largest files that are open at one time.
	Scratch string
}

// Store is a blob.Store.
type Store struct {
	cfg    Config
	client *minio.Client
}

var _ blob.Store = (*Store)(nil)

// New checks the settings; it asks nothing.
func New(cfg Config) (*Store, error) {
	if cfg.Endpoint == "" || cfg.Bucket == "" || cfg.AccessKey == "" || cfg.SecretKey == "" {
		return nil, errors.New("s3: endpoint, bucket, access key and secret key are needed")
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1" // so that none is asked for
	}
	transport := loopback.Transport(cfg.Roots)
	transport.ResponseHeaderTimeout, transport.DisableCompression = patience, true
	transport.ForceAttemptHTTP2 = false // large files travel better on connections of their own
	client, err := minio.New(cfg.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Secure: !cfg.Plain, Region: cfg.Region, MaxRetries: tries,
		BucketLookup: minio.BucketLookupPath, // names of buckets need no DNS
		Transport:    transport,
	})
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	return &Store{cfg, client}, nil
}

// Ping says whether the bucket is there and opens to our key.
func (s *Store) Ping(ctx context.Context) error {
	there, err := s.client.BucketExists(ctx, s.cfg.Bucket)
	if err != nil {
		return wrap(err)
	}
	if !there {
		return fmt.Errorf("s3: there is no bucket %q", s.cfg.Bucket)
	}
	return nil
}

func (s *Store) name(c commune.ID, d blob.Digest) (string, error) {
	name, err := blob.Name(c, d)
	return s.cfg.Prefix + name, err
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, c commune.ID, data []byte) (blob.Digest, error) {
	d := blob.Sum(data)
	return d, s.put(ctx, c, d, bytes.NewReader(data), int64(len(data)))
}

// PutFrom implements blob.Store: the name is known when all is written, so that it is
// written here first.
func (s *Store) PutFrom(ctx context.Context, c commune.ID, write func(io.Writer) error) (blob.Digest, error) {
	f, err := s.scratch()
	if err != nil {
		return blob.Digest{}, err
	}
	defer f.Close()
	h := sha256.New()
	if err := write(io.MultiWriter(f, h)); err != nil {
		return blob.Digest{}, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return blob.Digest{}, wrap(err)
	}
	d := blob.Digest(h.Sum(nil))
	return d, s.put(ctx, c, d, f, size)
}

func (s *Store) put(ctx context.Context, c commune.ID, d blob.Digest, content io.Reader, size int64) error {
	name, err := s.name(c, d)
	if err != nil {
		return err
	}
	_, err = s.client.PutObject(ctx, s.cfg.Bucket, name, content, size, minio.PutObjectOptions{
		ContentType: "application/octet-stream", PartSize: partSize, NumThreads: 1, SendContentMd5: true,
	})
	return wrap(err)
}

// Open implements blob.Store. The object comes to a file without a name, which is read
// once to be checked before the caller has it.
func (s *Store) Open(ctx context.Context, c commune.ID, d blob.Digest) (blob.File, error) {
	f, err := s.scratch()
	if err != nil {
		return nil, err
	}
	size, err := s.fetch(ctx, c, d, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, wrap(err)
	}
	return file{f, size}, nil
}

// file is a fetched object.
type file struct {
	*os.File
	size int64
}

func (f file) Size() int64 { return f.size }

// Read implements blob.Store.
func (s *Store) Read(ctx context.Context, c commune.ID, d blob.Digest) ([]byte, error) {
	var b bytes.Buffer
	if _, err := s.fetch(ctx, c, d, &b); err != nil {
		return nil, wrap(err)
	}
	return b.Bytes(), nil
}

// fetch copies an object to w, and says so where it is not what its name says: what was
// copied is then worth nothing.
func (s *Store) fetch(ctx context.Context, c commune.ID, d blob.Digest, w io.Writer) (int64, error) {
	name, err := s.name(c, d)
	if err != nil {
		return 0, err
	}
	object, err := s.client.GetObject(ctx, s.cfg.Bucket, name, minio.GetObjectOptions{})
	if err != nil {
		return 0, err
	}
	defer object.Close()
	h := sha256.New()
	size, err := io.Copy(io.MultiWriter(w, h), object)
	if err == nil && blob.Digest(h.Sum(nil)) != d {
		err = fmt.Errorf("%w: %s of %s", blob.ErrCorrupt, d, c)
	}
	return size, err
}

// Each implements blob.Store.
func (s *Store) Each(ctx context.Context, f func(commune.ID, blob.Digest) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing where f fails
	for object := range s.client.ListObjects(ctx, s.cfg.Bucket, minio.ListObjectsOptions{Prefix: s.cfg.Prefix, Recursive: true}) {
		if object.Err != nil {
			return wrap(object.Err)
		}
		c, d, ok := blob.ParseName(strings.TrimPrefix(object.Key, s.cfg.Prefix))
		if !ok {
			continue // somebody else's, under the same prefix
		}
		if err := f(c, d); err != nil {
			return err
		}
	}
	return wrap(ctx.Err())
}

// scratch is a file that has no name, and is gone when it is closed, whatever happens.
func (s *Store) scratch() (*os.File, error) {
	f, err := os.CreateTemp(s.cfg.Scratch, "belfry-blob-*")
	if err != nil {
		return nil, wrap(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, wrap(err)
	}
	return f, nil
}

// wrap tells what is missing and what is damaged from a store that does not answer.
func wrap(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if errors.Is(err, blob.ErrCorrupt) {
		return fmt.Errorf("s3: %w", err)
	}
	answer := minio.ToErrorResponse(err)
	busy := answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusRequestTimeout
	switch {
	case answer.Code == minio.NoSuchKey:
		return fmt.Errorf("s3: %w: %w", blob.ErrMissing, err)
	case answer.StatusCode >= 400 && answer.StatusCode < 500 && !busy:
		return fmt.Errorf("s3: %w", err) // a wrong key, no such bucket: trying again helps nobody
	}
	return fault.New(fault.Unreachable, "fault.store", fmt.Errorf("s3: %w", err))
}

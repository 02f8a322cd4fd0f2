package plain

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	digitorus "github.com/digitorus/pdf"
	"github.com/digitorus/pdfsign/revocation"
	"github.com/digitorus/pdfsign/sign"

	"github.com/belfry-eid/belfry/internal/cell"
)

// What a child may use.
const (
	childArgument = "sign-one-plain-file" // hidden: belfry's own second life
	childTime     = 60 * time.Second      // a token may take half of it
	growth        = 1 << 20               // bytes that a signature adds at most
)

// task is what a child is told first.
type task struct {
	Content                []byte
	Chain                  [][]byte // DER
	Hash                   crypto.Hash
	At                     time.Time
	Name, Reason, Location string
}

// said is what a child says: first what is to be signed, then the file.
type said struct{ Digest, File []byte }

// heard is what it is told in between.
type heard struct{ Signature []byte }

// inChild has the file signed by a process of its own that never sees the key.
func inChild(ctx context.Context, content []byte, key crypto.Signer, hash crypto.Hash, o Options) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, childTime)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, childArgument)
	cmd.Env, cmd.Dir, cmd.WaitDelay = []string{"GOMAXPROCS=1", "GOTRACEBACK=none"}, "/", time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	file, err := converse(in, io.LimitReader(out, int64(2*len(content)+2*growth)), content, key, hash, o)
	in.Close()
	if err != nil {
		cancel()
	}
	if e := cmd.Wait(); err == nil && e != nil {
		err = e
	}
	if err != nil {
		return nil, fmt.Errorf("plain: the child: %w", err)
	}
	return file, nil
}

// converse tells the child its task, lets the key sign once what it asks for, and takes the file.
func converse(in io.Writer, out io.Reader, content []byte, key crypto.Signer, hash crypto.Hash, o Options) ([]byte, error) {
	t := task{Content: content, Hash: hash, At: o.At, Name: o.Name, Reason: o.Reason, Location: o.Location}
	for _, c := range o.Chain {
		t.Chain = append(t.Chain, c.Raw)
	}
	tell, listen := json.NewEncoder(in), json.NewDecoder(out)
	if err := tell.Encode(t); err != nil {
		return nil, err
	}
	var s said
	if err := listen.Decode(&s); err != nil {
		return nil, err
	}
	if len(s.Digest) != hash.Size() {
		return nil, fmt.Errorf("it asks for the signature of %d bytes", len(s.Digest))
	}
	signature, err := key.Sign(nil, s.Digest, hash)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := tell.Encode(heard{signature}); err != nil {
		return nil, err
	}
	s = said{}
	if err := listen.Decode(&s); err != nil {
		return nil, err
	}
	return s.File, nil
}

// RunIfChild does a child's work and ends the process, where this process was started by
// Sign; otherwise it returns at once.
func RunIfChild() {
	if len(os.Args) != 2 || os.Args[1] != childArgument {
		return
	}
	if err := child(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	os.Exit(0)
}

// distant is the key, as the child knows it.
type distant struct {
	public crypto.PublicKey
	tell   *json.Encoder
	listen *json.Decoder
}

func (d distant) Public() crypto.PublicKey { return d.public }

func (d distant) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	if err := d.tell.Encode(said{Digest: digest}); err != nil {
		return nil, err
	}
	var h heard
	err := d.listen.Decode(&h)
	return h.Signature, err
}

func child(in io.Reader, out io.Writer) error {
	if err := cell.Enter(); err != nil {
		return err
	}
	tell, listen := json.NewEncoder(out), json.NewDecoder(in)
	var t task
	if err := listen.Decode(&t); err != nil {
		return err
	}
	var chain []*x509.Certificate
	for _, der := range t.Chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return errors.New("plain: no certificate")
	}
	r, err := digitorus.NewReader(bytes.NewReader(t.Content), int64(len(t.Content)))
	if err != nil {
		return err
	}
	var file bytes.Buffer
	err = sign.Sign(bytes.NewReader(t.Content), &file, r, int64(len(t.Content)), sign.SignData{
		Signature: sign.SignDataSignature{
			CertType: sign.ApprovalSignature, // its certification names nothing in the catalog, and so has no effect
			Info:     sign.SignDataSignatureInfo{Name: t.Name, Reason: t.Reason, Location: t.Location, Date: t.At.UTC()},
		},
		Signer: distant{chain[0].PublicKey, tell, listen}, DigestAlgorithm: t.Hash, Certificate: chain[0], CertificateChains: [][]*x509.Certificate{chain},
		// Its own function asks whatever address the certificates name.
		RevocationFunction: func(*x509.Certificate, *x509.Certificate, *revocation.InfoArchival) error { return nil },
	})
	if err != nil {
		return err
	}
	return tell.Encode(said{File: file.Bytes()})
}

// Asks a server over QUIC by quic-go: DNS over QUIC (RFC 9250), or DNS over HTTP/3 (RFC 8484).
//
//	goquic quic|https3 ADDRESS:PORT CA NAME
//
// It reads queries in base64url, one a line, and prints a line for each: the reply in base64url; or "reset" where the
// server has ended the connection by a stateless reset, after which the next query opens another one.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type asker interface {
	ask(ctx context.Context, query []byte) ([]byte, error)
}

// One connection, with a stream for each query.
type doq struct {
	address    string
	config     *tls.Config
	connection *quic.Conn
}

func (d *doq) ask(ctx context.Context, query []byte) ([]byte, error) {
	if d.connection == nil || d.connection.Context().Err() != nil {
		connection, err := quic.DialAddr(ctx, d.address, d.config, nil)
		if err != nil {
			return nil, err
		}
		d.connection = connection
	}
	stream, err := d.connection.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	must(stream.SetDeadline(deadline))
	if _, err := stream.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return nil, err
	}
	must(stream.Close())
	reply, err := io.ReadAll(stream)
	if err == nil && (len(reply) < 2 || int(binary.BigEndian.Uint16(reply)) != len(reply)-2) {
		err = fmt.Errorf("%d bytes", len(reply))
	}
	if err != nil {
		return nil, err
	}
	return reply[2:], nil
}

type doh3 struct {
	address string
	client  *http.Client
}

func (d *doh3) ask(ctx context.Context, query []byte) ([]byte, error) {
	url := "https://" + d.address + "/dns-query"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(query))
	must(err)
	request.Header.Set("Content-Type", "application/dns-message")
	response, err := d.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK || response.ProtoMajor != 3 {
		return nil, fmt.Errorf("%s %s", response.Status, response.Proto)
	}
	return io.ReadAll(response.Body)
}

func main() {
	kind, address := os.Args[1], os.Args[2]
	pem, err := os.ReadFile(os.Args[3])
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	config := &tls.Config{RootCAs: roots, ServerName: os.Args[4]}
	var by asker = &doh3{address, &http.Client{Transport: &http3.Transport{TLSClientConfig: config}}}
	if kind == "quic" {
		config.NextProtos = []string{"doq"}
		by = &doq{address: address, config: config}
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		query, err := base64.RawURLEncoding.DecodeString(lines.Text())
		must(err)
		// Less than what quic-go itself waits for a server that is silent.
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		reply, err := by.ask(ctx, query)
		cancel()
		if reset := (*quic.StatelessResetError)(nil); errors.As(err, &reset) {
			fmt.Println("reset")
			continue
		}
		must(err)
		fmt.Println(base64.RawURLEncoding.EncodeToString(reply))
	}
}

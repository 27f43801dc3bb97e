// Asks a server for addresses by Go's own libraries: its resolver over TLS, or its HTTP client.
//
//	goclient tls|https ADDRESS:PORT CA NAME QUERY...
//
// QUERY: of tls a name; of https a query in base64url. It prints a line for each: addresses, or the reply in base64url.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	kind, address, queries := os.Args[1], os.Args[2], os.Args[5:]
	pem, err := os.ReadFile(os.Args[3])
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	config := &tls.Config{RootCAs: roots, ServerName: os.Args[4]}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if kind == "tls" {
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
		}}
		for _, name := range queries {
			found, err := resolver.LookupNetIP(ctx, "ip4", name)
			must(err)
			fmt.Println(found)
		}
		return
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
	for _, query := range queries {
		message, err := base64.RawURLEncoding.DecodeString(query)
		must(err)
		url := "https://" + address + "/dns-query"
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(message))
		must(err)
		request.Header.Set("Content-Type", "application/dns-message")
		reply, err := client.Do(request)
		must(err)
		body, err := io.ReadAll(reply.Body)
		must(err)
		if reply.StatusCode != http.StatusOK || reply.ProtoMajor != 2 {
			must(fmt.Errorf("%s %s", reply.Status, reply.Proto))
		}
		fmt.Println(base64.RawURLEncoding.EncodeToString(body))
	}
}

package kit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
)

// TLS is how to speak TLS to a server; settings of kinds that can hold it as
// `yaml:"tls"`. The zero value is plain text.
type TLS struct {
	Enabled    bool   `yaml:"enabled"`
	CA         string `yaml:"ca"`          // file with certificates to trust instead of the system's
	Cert       string `yaml:"cert"`        // file with our certificate
	Key        string `yaml:"key"`         // file with its key
	ServerName string `yaml:"server_name"` // the name in the server's certificate, if not the address' host
	// InsecureSkipVerify takes any certificate.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
}

// Validate says what cannot work, naming the key.
func (t TLS) Validate() error {
	if (t.Cert == "") != (t.Key == "") {
		return errors.New("tls: cert and key belong together")
	}
	return nil
}

// Config reads the files, anew at each call and with the rights of the operator
// of ctx, so that rotated ones are taken up at the next connect. address is that
// of the server.
func (t TLS) Config(ctx context.Context, address string) (*tls.Config, error) {
	c := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify, MinVersion: tls.VersionTLS12}
	if c.ServerName == "" {
		c.ServerName = address
		if host, _, err := net.SplitHostPort(address); err == nil {
			c.ServerName = host
		}
	}
	read := func(file string) (text string, err error) {
		err = operatorOf(ctx).As(func() (err error) {
			text, err = readBounded(file)
			return err
		})
		return text, err
	}
	if t.CA != "" {
		pem, err := read(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls: ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(pem)) {
			return nil, fmt.Errorf("tls: ca: %s holds no certificate in PEM", t.CA)
		}
	}
	if t.Cert != "" {
		cert, err := read(t.Cert)
		if err != nil {
			return nil, fmt.Errorf("tls: cert: %w", err)
		}
		key, err := read(t.Key)
		if err != nil {
			return nil, fmt.Errorf("tls: key: %w", err)
		}
		pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
		if err != nil {
			return nil, fmt.Errorf("tls: cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Dial connects to an endpoint, with TLS when that is enabled.
func (t TLS) Dial(ctx context.Context, e Env, at Endpoint) (net.Conn, error) {
	plain, err := e.Dial(ctx, at.Network, at.Address)
	if err != nil || !t.Enabled {
		return plain, err
	}
	config, err := t.Config(ctx, at.Address)
	if err == nil {
		c := tls.Client(plain, config)
		if err = c.HandshakeContext(ctx); err == nil {
			return c, nil
		}
		err = fmt.Errorf("tls: %w", err)
	}
	plain.Close()
	return nil, err
}

package blackbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"vitals/core/integrations/kit"
)

// config is how to speak TLS to a host. seen hears of the connection before its
// certificate is judged, so that the end of one that is not valid any more is told.
func (c *collector) config(ctx context.Context, seen func(tls.ConnectionState)) (*tls.Config, error) {
	config, err := c.settings.TLS.Config(ctx, c.target.Host)
	if err != nil {
		return nil, err
	}
	config.ServerName = c.settings.TLS.ServerName // else that of each request
	trusted := c.settings.TLS.InsecureSkipVerify
	config.InsecureSkipVerify = true // VerifyConnection does it
	config.VerifyConnection = func(s tls.ConnectionState) error {
		seen(s)
		if trusted {
			return nil
		}
		options := x509.VerifyOptions{DNSName: s.ServerName, Roots: config.RootCAs, Intermediates: x509.NewCertPool()}
		for _, cert := range s.PeerCertificates[1:] {
			options.Intermediates.AddCert(cert)
		}
		_, err := s.PeerCertificates[0].Verify(options)
		return err
	}
	return config, nil
}

// certificates tells when the first certificate of a connection ends, and
// complains when that is soon.
func (c *collector) certificates(s tls.ConnectionState, now time.Time, b *kit.Batch) {
	if len(s.PeerCertificates) == 0 {
		return
	}
	end := s.PeerCertificates[0].NotAfter
	for _, cert := range s.PeerCertificates[1:] {
		if cert.NotAfter.Before(end) {
			end = cert.NotAfter
		}
	}
	left := end.Sub(now)
	b.Add(certificateEnd, float64(end.Unix()))
	b.Add(certificateLeft, left.Seconds())
	b.Add(tlsVersion, 1, tls.VersionName(s.Version))
	switch {
	case left < 0:
		b.Missing("certificate", fmt.Errorf("it ended on %s", end.Format(time.DateOnly)))
	case left < time.Duration(c.settings.CertificateDays)*24*time.Hour:
		b.Missing("certificate", fmt.Errorf("it ends on %s, in %d days", end.Format(time.DateOnly), int(left.Hours()/24)))
	}
}

// stream connects, for tls with a handshake, and hangs up.
func (c *collector) stream(ctx context.Context, b *kit.Batch) error {
	conn, err := c.dial(ctx, "tcp", c.target.Host, address(b))
	if err != nil {
		return err
	}
	defer conn.Close()
	if c.target.Scheme == "tcp" {
		return nil
	}
	var state *tls.ConnectionState
	config, err := c.config(ctx, func(s tls.ConnectionState) { state = &s })
	if err != nil {
		return err
	}
	if config.ServerName == "" {
		config.ServerName = c.target.Hostname()
	}
	err = tls.Client(conn, config).HandshakeContext(ctx)
	if state != nil {
		c.certificates(*state, time.Now(), b)
	}
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	return nil
}

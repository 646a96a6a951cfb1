package postgres

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"

	"vitals/core/integrations/kit"
)

// sslRequest is the question of the protocol whether TLS is to be had; the
// answer is one letter, and no login follows from it.
const sslRequest = 80877103

// probe asks for TLS, which PostgreSQL answers before any login, and hangs up in
// the way that leaves no line in its log.
func probe(ctx context.Context, s Settings, e kit.Env) (Settings, string, error) {
	s.Login = kit.Login{}
	at, err := kit.ParseEndpoint(s.Address, port)
	if err != nil {
		return s, "", err
	}
	c, err := e.Dial(ctx, at.Network, at.Address)
	if err != nil {
		return s, "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	question := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, sslRequest)
	if _, err := c.Write(question); err != nil {
		return s, "", err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(c, answer); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return s, "", cause
		}
		return s, "", fmt.Errorf("%w: it hangs up on the question of PostgreSQL's protocol", kit.ErrOther)
	}
	switch answer[0] {
	case 'S':
		// Hanging up here is logged as a failed handshake. Whose certificate it is
		// does not matter: nothing is sent.
		stream := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
		if err := stream.HandshakeContext(ctx); err != nil {
			return s, "", fmt.Errorf("tls: %w", err)
		}
		_ = stream.Close()
	case 'N':
	default:
		return s, "", fmt.Errorf("%w: %q is no answer of PostgreSQL", kit.ErrOther, answer)
	}
	saw := "it speaks the PostgreSQL protocol"
	if at.Network == "unix" {
		return s, saw, fmt.Errorf("%w to log in as the owner of the socket; or give user and password", kit.ErrConsent)
	}
	return s, saw, fmt.Errorf("%w: give user and password", kit.ErrCredentials)
}

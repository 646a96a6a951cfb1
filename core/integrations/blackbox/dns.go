package blackbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/miekg/dns"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// question is what a target like dns://192.0.2.1:53/example.org?type=AAAA asks.
func question(u *url.URL) (*dns.Msg, error) {
	name := strings.Trim(u.Path, "/")
	if name == "" {
		return nil, errors.New("which name? dns://server/name")
	}
	if _, ok := dns.IsDomainName(name); !ok {
		return nil, fmt.Errorf("%q is no name", core.Clean(name, core.MaxName))
	}
	kind := dns.TypeA
	if text := u.Query().Get("type"); text != "" {
		var ok bool
		if kind, ok = dns.StringToType[strings.ToUpper(text)]; !ok {
			return nil, fmt.Errorf("%q is no type of record", core.Clean(text, 16))
		}
	}
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), kind)
	return m, nil
}

// dns asks a server for a name; an answer that was cut is asked for again over TCP.
func (c *collector) dns(ctx context.Context, b *kit.Batch) error {
	m, err := question(c.target)
	if err != nil {
		return err
	}
	told := address(b)
	answer, err := c.exchange(ctx, "udp", m, told)
	if err == nil && answer.Truncated {
		answer, err = c.exchange(ctx, "tcp", m, told)
	}
	if err != nil {
		b.Add(dnsAnswered, 0)
		return err
	}
	b.Add(dnsAnswered, 1)
	b.Add(dnsAnswers, float64(len(answer.Answer)))
	b.Add(dnsAuthority, float64(len(answer.Ns)))
	b.Add(dnsAdditional, float64(len(answer.Extra)))
	if answer.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("the server answers %s", dns.RcodeToString[answer.Rcode])
	}
	if len(answer.Answer) == 0 {
		return errors.New("the server knows no such record")
	}
	return nil
}

func (c *collector) exchange(ctx context.Context, network string, m *dns.Msg, told func(time.Duration, netip.Addr)) (*dns.Msg, error) {
	conn, err := c.dial(ctx, network, c.target.Host, told)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	client := &dns.Client{Net: network, Timeout: patience(ctx)}
	answer, _, err := client.ExchangeWithConnContext(ctx, m, &dns.Conn{Conn: conn})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		err = context.DeadlineExceeded
	}
	return answer, err
}

// patience is how long there is until ctx ends.
func patience(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return 5 * time.Second
	}
	return max(time.Until(end), time.Millisecond)
}

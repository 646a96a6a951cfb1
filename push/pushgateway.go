package push

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"vitals/core"
)

func checkPushgateway(s *settings) error {
	base, err := parseURL(s.URL)
	if err != nil {
		return err
	}
	if err := s.checkHTTP(base.User); err != nil {
		return err
	}
	base.User = nil
	s.shown = base.String()
	switch method := strings.ToUpper(s.Method); method {
	case "":
		s.Method = http.MethodPut
	case http.MethodPut, http.MethodPost:
		s.Method = method
	default:
		return fmt.Errorf("push method %q: use PUT (replace the whole group) or POST (replace families of the same name)", core.Clean(s.Method, 32))
	}
	if s.group, err = groupingKey(s.Config); err != nil {
		return err
	}
	path := groupPath(s.group)
	if len(path) > maxPath {
		return fmt.Errorf("push grouping key takes %d bytes as a path, more than %d: use fewer or shorter --group labels", len(path), maxPath)
	}
	s.target = s.shown + path
	return nil
}

// gatewaySender remembers which encoding its gateway takes.
type gatewaySender struct {
	*client
	enc       encoder
	encodings []encoding
	chosen    int  // index of the encoding to begin with
	proven    bool // the gateway has taken the chosen one
}

func openPushgateway(s *settings) (sender, error) {
	c, err := newClient(s)
	if err != nil {
		return nil, err
	}
	return &gatewaySender{client: c, encodings: s.encodings()}, nil
}

func (g *gatewaySender) deliver(ctx context.Context, load payload) (told answer, bytes int) {
	for i := g.chosen; i < len(g.encodings); i++ {
		enc := g.encodings[i]
		body, packed, err := g.enc.encode(load.families, enc)
		if err != nil {
			return answer{verdict: permanent, err: fmt.Errorf("push to %s: encode: %w", g.shown, err)}, 0
		}
		a := g.send(ctx, g.Method, body, enc.format.ContentType(), packed)
		if a.verdict == delivered {
			if packed != None || i > 0 {
				g.chosen, g.proven = i, true
			}
			return a, len(body)
		}
		// The first refusal tells most; the later ones are about our fall-backs.
		if told.err == nil {
			told = a
		}
		if !g.refusedEncoding(a) {
			return told, 0
		}
		// Too small to compress: what differs in that only would be the same bytes.
		for packed == None && i+1 < len(g.encodings) && g.encodings[i+1].format == enc.format {
			i++
		}
	}
	return told, 0
}

// refusedEncoding reports whether another encoding is worth a try. A 400 has
// many reasons, so it counts only until an encoding was proven.
func (g *gatewaySender) refusedEncoding(a answer) bool {
	return a.status == http.StatusUnsupportedMediaType || a.status == http.StatusBadRequest && !g.proven
}

func (g *gatewaySender) remove(ctx context.Context) error {
	return g.send(ctx, http.MethodDelete, nil, "", None).err
}

// check asks for readiness with the same client as a push. Receivers that do not
// know that address are well when they answer.
func (g *gatewaySender) check(ctx context.Context) (string, error) {
	a := g.ask(ctx, http.MethodGet, g.shown+"/-/ready", nil, "", None)
	switch {
	case a.verdict == delivered:
		return "the gateway is ready", nil
	case a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed:
		return "the gateway answers", nil
	}
	return "", a.err
}

func (g *gatewaySender) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.http.CloseIdleConnections()
}

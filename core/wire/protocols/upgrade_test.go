package protocols

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
	"golang.org/x/net/websocket"

	"vitals/core/wire"
	"vitals/core/wire/http1"
	"vitals/core/wire/wiretest"
)

// follow parses a recording from HTTP/1 on, through its upgrades.
func follow(t *testing.T, rec wiretest.Recording) (all []wire.Exchange) {
	t.Helper()
	byID := make(map[string]*wire.Protocol)
	for _, p := range List() {
		if byID[p.Name] = p; p.ID != "" {
			byID[p.ID] = p
		}
	}
	o := wire.Options{Names: wire.NewNames(100, nil)}
	c := http1.Protocol.New(o)
	var out wire.Out
	take := func() {
		all = append(all, out.Exchanges...)
		if out.Wrong || out.Unpaired > 0 || out.Skipped > 0 {
			t.Errorf("wrong %v, unpaired %d, skipped %d", out.Wrong, out.Unpaired, out.Skipped)
		}
		out.Reset()
	}
	for _, s := range rec.Spans() {
		c.Feed(&s, &out)
		next, rest, begun := out.Switch, out.Rest, out.Begun
		take()
		if next == "" {
			continue
		}
		if c = byID[next].New(o); begun != nil {
			c.(wire.Adopter).Adopt(begun)
		}
		if rest > 0 {
			s.Data, s.Size = s.Data[int64(len(s.Data))-rest:], rest
			c.Feed(&s, &out)
			take()
		}
	}
	c.End(1<<40, "cancelled", &out)
	take()
	return all
}

func TestUpgradeToHTTP2(t *testing.T) {
	served, major := 0, 0
	server := httptest.NewServer(h2c.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served++
		major = r.ProtoMajor // of the upgraded one it is still 1
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "ok")
	}), &http2.Server{}))
	defer server.Close()
	proxy := wiretest.NewProxy(t, "tcp", server.Listener.Addr().String())
	url := "http://" + proxy.Addr
	wiretest.Run(t, wiretest.Program(t, "curl"), "-s", "--http2", url+"/first/77", url+"/second")
	recs := proxy.Recordings()
	if len(recs) != 1 {
		t.Fatalf("%d connections", len(recs))
	}
	all := follow(t, recs[0])
	if len(all) != served || served != 2 || major != 2 {
		t.Fatalf("%d exchanges of %d: %+v", len(all), served, all)
	}
	if x := all[0]; x.Method != "GET" || x.Target != "/first/{id}" || x.Status != 202 || x.Peer != proxy.Addr || x.Partial || x.Error != "" {
		t.Errorf("%+v", x)
	}
	if x := all[1]; x.Target != "/second" || x.Status != 202 {
		t.Errorf("%+v", x)
	}
}

func TestUpgradeToWebSocket(t *testing.T) {
	server := httptest.NewServer(websocket.Handler(func(ws *websocket.Conn) { io.Copy(ws, ws) }))
	defer server.Close()
	proxy := wiretest.NewProxy(t, "tcp", server.Listener.Addr().String())
	ws, err := websocket.Dial("ws://"+proxy.Addr+"/chat/5", "", "http://example/")
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	for n := range 50 {
		message := buf[:1+n*n*20]
		if err := websocket.Message.Send(ws, message); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(ws, message); err != nil {
			t.Fatal(err)
		}
	}
	ws.Close()
	proxy.Wait()
	recs := proxy.Recordings()
	if len(recs) != 1 {
		t.Fatalf("%d connections", len(recs))
	}
	all := follow(t, recs[0])
	if len(all) != 2 || all[0].Status != 101 || all[0].Stream {
		t.Fatalf("%+v", all)
	}
	if x := all[1]; !x.Stream || x.MessagesAsked != 50 || x.MessagesAnswered < 50 || x.Target != "/chat/{id}" || x.Error != "" {
		t.Errorf("%+v", x)
	}
}

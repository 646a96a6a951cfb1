package feed

import (
	"testing"

	"vitals/core/wire"
)

func asked(c *Calls, method string, at int64, out *wire.Out) {
	c.Asking()
	c.Ask(&Call{Method: method, Start: at, Asked: 10}, out)
}

func TestAnswersComeInOrder(t *testing.T) {
	var c Calls
	var out wire.Out
	asked(&c, "A", 1, &out)
	asked(&c, "B", 2, &out)
	if n, oldest := c.Waiting(); n != 2 || oldest != 1 {
		t.Errorf("%d wait since %d", n, oldest)
	}
	c.Oldest().First = 3
	c.Done(4, &out)
	c.Done(5, &out)
	c.Done(6, &out)
	if x := out.Exchanges; len(x) != 2 || x[0].Method != "A" || x[0].First != 3 || x[0].End != 4 || x[1].Method != "B" || out.Unpaired != 1 {
		t.Errorf("%+v", out)
	}
}

func TestAnAnswerEndsWithItsLastByte(t *testing.T) {
	var c Calls
	var out wire.Out
	asked(&c, "A", 1, &out)
	c.Server.Begin(&wire.Span{From: wire.Server, Data: []byte("abc"), Size: 3, First: 2, Last: 2})
	c.Server.Skip(5)
	c.Done(2, &out)
	c.Server.Finish(&out)
	if len(out.Exchanges) != 0 || c.Len() != 1 {
		t.Fatalf("told before its end: %+v", out)
	}
	s := &wire.Span{From: wire.Server, Data: []byte("de"), Size: 2, First: 7, Last: 7}
	c.Server.Begin(s)
	c.Settle(s, &out)
	if len(out.Exchanges) != 1 || out.Exchanges[0].End != 7 {
		t.Errorf("%+v", out)
	}
}

func TestWhatNeverCameIsNotCounted(t *testing.T) {
	var c Calls
	var out wire.Out
	c.Client.Begin(&wire.Span{Data: []byte("abc"), Size: 3})
	c.Client.Skip(10)
	asked(&c, "A", 1, &out)
	c.End(5, "reset", &out)
	if x := out.Exchanges; len(x) != 1 || x[0].Asked != 3 || x[0].Error != "reset" || !x[0].FailedServer {
		t.Errorf("%+v", x)
	}
}

func TestFlushedAnswersAreNotUnpaired(t *testing.T) {
	var c Calls
	var out wire.Out
	for i := range int64(3) {
		asked(&c, "A", i+1, &out)
	}
	c.Flush(9, true, &out)
	for range 4 {
		c.Done(10, &out)
	}
	if len(out.Exchanges) != 3 || !out.Exchanges[0].Partial || out.Exchanges[2].End != 9 || out.Unpaired != 1 {
		t.Errorf("%+v", out)
	}
	out.Reset()
	asked(&c, "A", 11, &out)
	c.Flush(12, true, &out)
	if len(out.Exchanges) != 1 || out.Exchanges[0].Partial {
		t.Errorf("alone, and its outcome known: %+v", out)
	}
}

func TestThoseBeyondTheLimitAreCounted(t *testing.T) {
	var c Calls
	var out wire.Out
	for i := range int64(MaxCalls + 5) {
		asked(&c, "A", i+1, &out)
	}
	if len(out.Exchanges) != 5 || !out.Exchanges[0].Partial || c.Refused() != 5 || !c.Full() {
		t.Errorf("%d told, %d refused", len(out.Exchanges), c.Refused())
	}
	for range MaxCalls + 5 {
		c.Done(1000, &out)
	}
	if len(out.Exchanges) != MaxCalls+5 || out.Unpaired != 0 || c.Len() != 0 {
		t.Errorf("%d told, %d unpaired, %d wait", len(out.Exchanges), out.Unpaired, c.Len())
	}
}

func TestHiddenCallsAndGapsAndStreams(t *testing.T) {
	var c Calls
	var out wire.Out
	c.Ask(&Call{Method: "SYNC", Start: 1, Hidden: true}, &out)
	c.Done(2, &out)
	c.Ask(&Call{Method: "S", Start: 3, First: 4, Stream: true}, &out)
	if n, _ := c.Waiting(); n != 0 || len(out.Exchanges) != 0 {
		t.Errorf("%d wait, %+v", n, out.Exchanges)
	}
	c.Gap(&out)
	if len(out.Exchanges) != 1 || !out.Exchanges[0].Partial || !out.Exchanges[0].Stream {
		t.Errorf("%+v", out.Exchanges)
	}
	if call, ok := c.Drop(); ok {
		t.Errorf("dropped %+v", call)
	}
}

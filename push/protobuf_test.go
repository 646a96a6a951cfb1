package push

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Whatever the model can hold, our bytes are the library's.
func TestProtobufIsWhatTheLibraryWrites(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4}
	for _, seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 0))
		for i := range 500 {
			f := &dto.MetricFamily{}
			fill(rng, f.ProtoReflect(), 0)
			compareWithLibrary(t, f)
			if t.Failed() {
				t.Fatalf("seed %d, message %d: %v", seed, i, f)
			}
		}
	}
}

// Lengths around the borders of a varint.
func TestProtobufLengths(t *testing.T) {
	for _, n := range []int{0, 1, 100, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 126, 127, 128, 129, 16_200, 16_300, 16_384, 2_097_000, 2_097_152} {
		compareWithLibrary(t, counter("a", "h", 1, "l", strings.Repeat("x", n)))
		compareWithLibrary(t, counter("a", strings.Repeat("h", n), 1))
	}
	compareWithLibrary(t, wide(3000)(nil)[0])
	compareWithLibrary(t, &dto.MetricFamily{})
}

func compareWithLibrary(t *testing.T, f *dto.MetricFamily) {
	t.Helper()
	got, err := appendDelimited(nil, f)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if _, err := protodelim.MarshalTo(&want, f); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want.Bytes()) {
		return
	}
	back := &dto.MetricFamily{}
	if err := (protodelim.UnmarshalOptions{MaxSize: -1}).UnmarshalFrom(bytes.NewReader(got), back); err != nil {
		t.Errorf("cannot be read: %v", err)
	}
	t.Errorf("other bytes than the library; the same content: %v", proto.Equal(f, back))
}

// fill sets about half of the fields of a message to random values.
func fill(rng *rand.Rand, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		d := fields.Get(i)
		if rng.IntN(2) == 0 && depth > 0 {
			continue
		}
		if d.IsList() {
			list := m.Mutable(d).List()
			for range rng.IntN(4) {
				if d.Kind() == protoreflect.MessageKind {
					fill(rng, list.AppendMutable().Message(), depth+1)
				} else {
					list.Append(scalar(rng, d))
				}
			}
			continue
		}
		if d.Kind() == protoreflect.MessageKind {
			fill(rng, m.Mutable(d).Message(), depth+1)
			continue
		}
		m.Set(d, scalar(rng, d))
	}
}

func scalar(rng *rand.Rand, d protoreflect.FieldDescriptor) protoreflect.Value {
	shift := rng.IntN(64)
	switch d.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(strings.Repeat("é", rng.IntN(80)))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(rng.NormFloat64())
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(rng.Uint64() >> shift)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(rng.Uint32() >> (shift / 2))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind:
		return protoreflect.ValueOfInt64(int64(rng.Uint64()) >> shift)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind:
		return protoreflect.ValueOfInt32(int32(rng.Uint32()) >> (shift / 2))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rng.IntN(d.Enum().Values().Len())))
	}
	panic("a kind that the model does not have: " + d.Kind().String())
}

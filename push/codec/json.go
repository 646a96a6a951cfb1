package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The JSON form is an array of families whose members are the fields of the
// protobuf model under their own names. Numbers that JSON lacks are the strings
// "NaN", "+Inf" and "-Inf"; the type is its name. A stream may hold several arrays.

func encodeJSON(w io.Writer, families []*dto.MetricFamily) error {
	b := []byte{'['}
	for i, f := range families {
		if i > 0 {
			b = append(b, ',', '\n')
		}
		b = appendMessage(b, f.ProtoReflect())
		if _, err := w.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	_, err := w.Write(append(b, ']', '\n'))
	return err
}

func appendMessage(b []byte, m protoreflect.Message) []byte {
	b = append(b, '{')
	first := true
	all := m.Descriptor().Fields()
	for i := range all.Len() {
		field := all.Get(i)
		if !m.Has(field) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(strconv.AppendQuote(b, string(field.Name())), ':')
		value := m.Get(field)
		if !field.IsList() {
			b = appendScalar(b, field, value)
			continue
		}
		b = append(b, '[')
		for j := range value.List().Len() {
			if j > 0 {
				b = append(b, ',')
			}
			b = appendScalar(b, field, value.List().Get(j))
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func appendScalar(b []byte, field protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return appendMessage(b, v.Message())
	case protoreflect.EnumKind:
		if name := field.Enum().Values().ByNumber(v.Enum()); name != nil {
			return strconv.AppendQuote(b, string(name.Name()))
		}
		return strconv.AppendInt(b, int64(v.Enum()), 10)
	case protoreflect.StringKind:
		quoted, _ := json.Marshal(v.String()) // of a string it cannot fail
		return append(b, quoted...)
	case protoreflect.DoubleKind:
		f := v.Float()
		switch {
		case math.IsNaN(f):
			return append(b, `"NaN"`...)
		case math.IsInf(f, 1):
			return append(b, `"+Inf"`...)
		case math.IsInf(f, -1):
			return append(b, `"-Inf"`...)
		}
		return strconv.AppendFloat(b, f, 'g', -1, 64)
	case protoreflect.Uint64Kind, protoreflect.Uint32Kind:
		return strconv.AppendUint(b, v.Uint(), 10)
	}
	return strconv.AppendInt(b, v.Int(), 10)
}

func decodeJSON(body []byte, visit func(*dto.MetricFamily) error) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	for n := 0; ; {
		open, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && open != json.Delim('[') {
			err = errors.New("JSON must be an array of metric families")
		}
		if err != nil {
			return fmt.Errorf("at byte %d: %w", dec.InputOffset(), err)
		}
		for dec.More() {
			n++
			var members map[string]any
			if err := dec.Decode(&members); err != nil {
				return fmt.Errorf("family %d, at byte %d: %w", n, dec.InputOffset(), ended(err))
			}
			f := &dto.MetricFamily{}
			if err := setMessage(f.ProtoReflect(), members); err != nil {
				return fmt.Errorf("family %d: %w", n, err)
			}
			if err := visit(f); err != nil {
				return err
			}
		}
		if _, err := dec.Token(); err != nil {
			return fmt.Errorf("at byte %d: %w", dec.InputOffset(), ended(err))
		}
	}
}

// ended makes the end of input within a value what it is: unexpected.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("unexpected end of input: %w", io.ErrUnexpectedEOF)
	}
	return err
}

func setMessage(m protoreflect.Message, members map[string]any) error {
	all := m.Descriptor().Fields()
	for name, value := range members {
		field := all.ByName(protoreflect.Name(name))
		if field == nil {
			return fmt.Errorf("%s has no member %.40q", m.Descriptor().Name(), name)
		}
		if value == nil {
			continue
		}
		if err := setField(m, field, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func setField(m protoreflect.Message, field protoreflect.FieldDescriptor, value any) error {
	if !field.IsList() {
		v, err := scalar(field, value, func() protoreflect.Value { return m.NewField(field) })
		if err == nil {
			m.Set(field, v)
		}
		return err
	}
	items, ok := value.([]any)
	if !ok {
		return errors.New("must be an array")
	}
	list := m.Mutable(field).List()
	for _, item := range items {
		v, err := scalar(field, item, list.NewElement)
		if err != nil {
			return err
		}
		list.Append(v)
	}
	return nil
}

// scalar converts one JSON value to what field holds.
func scalar(field protoreflect.FieldDescriptor, value any, fresh func() protoreflect.Value) (v protoreflect.Value, err error) {
	text, isText := value.(string)
	number, isNumber := value.(json.Number)
	switch kind := field.Kind(); {
	case kind == protoreflect.MessageKind:
		members, ok := value.(map[string]any)
		if !ok {
			return v, errors.New("must be an object")
		}
		v = fresh()
		return v, setMessage(v.Message(), members)
	case kind == protoreflect.StringKind && isText:
		return protoreflect.ValueOfString(text), nil
	case kind == protoreflect.EnumKind && isText:
		named := field.Enum().Values().ByName(protoreflect.Name(text))
		if named == nil {
			return v, fmt.Errorf("%.40q is not a type", text)
		}
		return protoreflect.ValueOfEnum(named.Number()), nil
	case kind == protoreflect.EnumKind && isNumber:
		n, err := strconv.ParseInt(number.String(), 10, 32)
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)), err
	case kind == protoreflect.DoubleKind && isText:
		if text != "NaN" && text != "+Inf" && text != "-Inf" {
			return v, fmt.Errorf("%.40q is not a number", text)
		}
		f, err := strconv.ParseFloat(text, 64)
		return protoreflect.ValueOfFloat64(f), err
	case kind == protoreflect.DoubleKind && isNumber:
		f, err := number.Float64()
		return protoreflect.ValueOfFloat64(f), err
	case isNumber:
		return integer(kind, number.String())
	}
	return v, fmt.Errorf("%T does not fit", value)
}

func integer(kind protoreflect.Kind, text string) (v protoreflect.Value, err error) {
	switch kind {
	case protoreflect.Uint64Kind:
		n, err := strconv.ParseUint(text, 10, 64)
		return protoreflect.ValueOfUint64(n), err
	case protoreflect.Uint32Kind:
		n, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(n)), err
	case protoreflect.Int64Kind, protoreflect.Sint64Kind:
		n, err := strconv.ParseInt(text, 10, 64)
		return protoreflect.ValueOfInt64(n), err
	case protoreflect.Int32Kind, protoreflect.Sint32Kind:
		n, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfInt32(int32(n)), err
	}
	return v, fmt.Errorf("a number does not fit")
}

// Package format writes numbers the way every screen of vitals shows them. NaN
// is unknown and reads "–", never 0. The functions append to a buffer, so that
// a table of numbers allocates nothing.
package format

import (
	"math"
	"strconv"
	"time"
)

// Unknown stands for a figure that nobody knows.
const Unknown = "–"

// Count appends a count or a rate with three digits: 0, 0.3, 290, 1.24k, 38.1M.
func Count(b []byte, v float64) []byte {
	switch {
	case unknown(v):
		return append(b, Unknown...)
	case v < 0:
		return Count(append(b, '-'), -v)
	case v == 0:
		return append(b, '0')
	case v < 0.05:
		return append(b, "<0.1"...)
	case v < 9.95:
		if v == math.Trunc(v) {
			return strconv.AppendInt(b, int64(v), 10)
		}
		return strconv.AppendFloat(b, v, 'f', 1, 64)
	case v < 999.5:
		return strconv.AppendFloat(b, v, 'f', 0, 64)
	}
	return scaled(b, v, 1000, "kMGTPE")
}

// Bytes appends a size in binary steps: 0, 512B, 3.4K, 184M, 1.2G.
func Bytes(b []byte, v float64) []byte {
	switch {
	case unknown(v) || v < 0:
		return append(b, Unknown...)
	case v < 999.5:
		return append(strconv.AppendFloat(b, v, 'f', 0, 64), 'B')
	}
	for i, unit := range []byte("KMGTPE") {
		v /= 1024
		if v < 999.5 || i == 5 {
			prec := 0
			if v < 9.95 {
				prec = 1
			}
			return append(strconv.AppendFloat(b, v, 'f', prec, 64), unit)
		}
	}
	return b
}

func scaled(b []byte, v, step float64, units string) []byte {
	for i := range len(units) {
		v /= step
		if v < 999.5 || i == len(units)-1 {
			prec := 0
			switch {
			case v < 9.995:
				prec = 2
			case v < 99.95:
				prec = 1
			}
			return append(strconv.AppendFloat(b, v, 'f', prec, 64), units[i])
		}
	}
	return b
}

// Seconds appends a duration given in seconds: 87us, 0.38ms, 3.8ms, 38ms, 1.2s, 3m20s.
func Seconds(b []byte, s float64) []byte {
	switch {
	case unknown(s) || s < 0:
		return append(b, Unknown...)
	case s == 0:
		return append(b, '0')
	case s < 0.0000995:
		return append(strconv.AppendFloat(b, s*1e6, 'f', 0, 64), "us"...)
	case s < 0.000995:
		return append(strconv.AppendFloat(b, s*1e3, 'f', 2, 64), "ms"...)
	case s < 0.00995:
		return append(strconv.AppendFloat(b, s*1e3, 'f', 1, 64), "ms"...)
	case s < 0.9995:
		return append(strconv.AppendFloat(b, s*1e3, 'f', 0, 64), "ms"...)
	case s < 9.95:
		return append(strconv.AppendFloat(b, s, 'f', 1, 64), 's')
	case s < 59.5:
		return append(strconv.AppendFloat(b, s, 'f', 0, 64), 's')
	}
	return Age(b, time.Duration(s*float64(time.Second)))
}

// Age appends how long something lasts in one unit, two when it is young: 21s, 6m, 3h, 2d.
func Age(b []byte, d time.Duration) []byte {
	switch {
	case d < 0:
		return append(b, "0s"...)
	case d < time.Minute:
		return append(strconv.AppendInt(b, int64(d/time.Second), 10), 's')
	case d < time.Hour:
		return append(strconv.AppendInt(b, int64(d/time.Minute), 10), 'm')
	case d < 48*time.Hour:
		return append(strconv.AppendInt(b, int64(d/time.Hour), 10), 'h')
	}
	return append(strconv.AppendInt(b, int64(d/(24*time.Hour)), 10), 'd')
}

// Percent appends a ratio as a percentage without the sign: 0.0, <0.1, 2.1, 38, 412.
func Percent(b []byte, ratio float64) []byte {
	p := ratio * 100
	switch {
	case unknown(p):
		return append(b, Unknown...)
	case p > 0 && p < 0.05:
		return append(b, "<0.1"...)
	case p < 99.95:
		return strconv.AppendFloat(b, p, 'f', 1, 64)
	}
	return strconv.AppendFloat(b, p, 'f', 0, 64)
}

// Int appends an exact count.
func Int[T ~int | ~int32 | ~int64 | ~uint64 | ~uint32](b []byte, v T) []byte {
	if v < 0 {
		return strconv.AppendInt(b, int64(v), 10)
	}
	return strconv.AppendUint(b, uint64(v), 10)
}

// Of gives what an appending function writes as a string, for text that is put
// together rarely.
func Of[T any](f func([]byte, T) []byte, v T) string {
	var b [24]byte
	return string(f(b[:0], v))
}

// Plural gives "1 process" or "3 processes".
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func unknown(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

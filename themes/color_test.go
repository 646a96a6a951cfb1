package themes

import (
	"math"
	"testing"
)

type linear [3]float64

func linearOf(c Color) linear {
	f := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return linear{f(c.R), f(c.G), f(c.B)}
}

func (l linear) luminance() float64 { return 0.2126*l[0] + 0.7152*l[1] + 0.0722*l[2] }

// contrast is the ratio of WCAG 2.
func contrast(a, b Color) float64 {
	x, y := linearOf(a).luminance(), linearOf(b).luminance()
	if x < y {
		x, y = y, x
	}
	return (x + 0.05) / (y + 0.05)
}

// Machado, Oliveira and Fernandes 2009, severity 1.0, on linear light.
var visions = map[string][3]linear{
	"normal": {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protan": {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deutan": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
}

func (l linear) seenBy(m [3]linear) linear {
	var out linear
	for i, row := range m {
		out[i] = min(1, max(0, row[0]*l[0]+row[1]*l[1]+row[2]*l[2]))
	}
	return out
}

func (l linear) lab() [3]float64 {
	f := func(t float64) float64 {
		if t > 216.0/24389 {
			return math.Cbrt(t)
		}
		return (24389.0/27*t + 16) / 116
	}
	x := f((0.4124564*l[0] + 0.3575761*l[1] + 0.1804375*l[2]) / 0.95047)
	y := f(0.2126729*l[0] + 0.7151522*l[1] + 0.0721750*l[2])
	z := f((0.0193339*l[0] + 0.1191920*l[1] + 0.9503041*l[2]) / 1.08883)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

// deltaE is the distance in CIE L*a*b* (1976) as somebody with that vision sees it.
func deltaE(a, b Color, vision [3]linear) float64 {
	p, q := linearOf(a).seenBy(vision).lab(), linearOf(b).seenBy(vision).lab()
	return math.Sqrt((p[0]-q[0])*(p[0]-q[0]) + (p[1]-q[1])*(p[1]-q[1]) + (p[2]-q[2])*(p[2]-q[2]))
}

// The yardsticks themselves, against published values.
func TestYardsticks(t *testing.T) {
	black, white := Color{Kind: RGB}, Color{Kind: RGB, R: 255, G: 255, B: 255}
	if got := contrast(black, white); math.Abs(got-21) > 1e-9 {
		t.Errorf("contrast of black and white is %v, not 21", got)
	}
	if got := contrast(Color{R: 0x77, G: 0x77, B: 0x77}, white); math.Abs(got-4.48) > 0.01 {
		t.Errorf("contrast of #777 on white is %.2f, not 4.48", got)
	}
	if got := deltaE(black, white, visions["normal"]); math.Abs(got-100) > 0.01 {
		t.Errorf("delta E of black and white is %v, not 100", got)
	}
	red, green := Color{R: 0xd0, G: 0x30, B: 0x30}, Color{R: 0x40, G: 0x90, B: 0x30}
	if n, d := deltaE(red, green, visions["normal"]), deltaE(red, green, visions["deutan"]); n < 80 || d > 30 {
		t.Errorf("red and green: %.0f for normal, %.0f for deutan vision", n, d)
	}
}

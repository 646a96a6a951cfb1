// Package ui is the terminal dashboard. It sees core.Snapshots through one door
// and speaks core.Intents through another, and knows nothing else of vitals.
//
// There is one Bubble Tea model, app. Pages are plain structs in page/..., listed
// in pages.go; they draw into rectangles of a canvas. Snapshots are pulled, one
// message for each look whatever happened in between, and a frame that did not
// change is not drawn again.
package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"vitals/core"
	"vitals/themes"
)

// Config is what the dashboard needs to run.
type Config struct {
	Source  core.Source
	Control core.Control

	// Metrics lists what a snapshot is exposed as; nil shows none.
	Metrics func(*core.Snapshot) []core.MetricInfo

	// Theme is the chosen theme; nil follows the terminal's background and colours.
	Theme *themes.Theme
	// Themes lists what the picker offers; nil offers the built-in ones.
	Themes func() []themes.Theme
	// SaveTheme keeps the theme that was picked; nil keeps it for this run only.
	SaveTheme func(name string) error
	// SaveDir is where saved screens go; empty is the working directory.
	SaveDir string
	// As runs what writes there with the rights of the user, nil as we are.
	As func(func() error) error

	Refresh time.Duration // how often the picture moves; 0 means 1 s
	// Color is "auto", "truecolor", "256", "16" or "none"; empty means auto.
	Color string
	ASCII bool // draw with ASCII only
	Plain bool // lines of text instead of a screen

	Rewind   int   // how many looks back are kept at most; 0 means 300
	FocusPID int32 // opens on the page of this process when it is there
	Version  string
	Warnings []string // shown as the first messages

	In  io.Reader // nil: the terminal
	Out io.Writer // nil: standard output
	Err io.Writer // nil: standard error; hints when there is no terminal
	Env []string  // nil: the process' environment
	// Size fixes the size of the screen; zero asks the terminal.
	Width, Height int

	State State
}

// State is what the dashboard remembers from one run to the next.
type State struct {
	Page  string          `json:"page,omitempty"`
	Sort  string          `json:"sort,omitempty"`
	View  string          `json:"view,omitempty"`
	Kinds map[string]bool `json:"kinds,omitempty"`
	// Save is called with the new state when the dashboard ends; nil forgets it.
	Save func(State) error `json:"-"`
}

// Run shows the dashboard until the user quits or ctx ends, and restores the
// terminal in every case. It returns nil when the user quit or ctx was
// cancelled without a cause of its own; a cause is returned, so that a goroutine
// that fails elsewhere can end the dashboard first and be reported after.
// Without a terminal (or with Plain, or TERM=dumb) it writes plain text.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.fill(); err != nil {
		return err
	}
	t := lookAround(&cfg)
	if t.plain {
		return runPlain(ctx, cfg, t)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := newApp(ctx, cfg, t)
	// Signals end ctx. Bubble Tea's own handler would wait for ever to tell of one
	// that has ended the dashboard already.
	opts := []tea.ProgramOption{tea.WithoutSignalHandler(), tea.WithFPS(fps), tea.WithEnvironment(cfg.Env), tea.WithOutput(cfg.Out), tea.WithFilter(a.coalesce)}
	if cfg.In != nil {
		opts = append(opts, tea.WithInput(cfg.In))
	}
	if t.profile != nil {
		opts = append(opts, tea.WithColorProfile(*t.profile))
	}
	if cfg.Width > 0 {
		opts = append(opts, tea.WithWindowSize(cfg.Width, cfg.Height))
	}
	a.pulse.program = tea.NewProgram(a, opts...)
	_, err := a.pulse.program.Run()
	a.pulse.stop()
	saveErr := a.saveState()
	switch cause := context.Cause(ctx); {
	case cause != nil && !errors.Is(cause, context.Canceled):
		return cause
	case err != nil && !errors.Is(err, tea.ErrInterrupted):
		return fmt.Errorf("dashboard: %w", err)
	}
	return saveErr
}

func (cfg *Config) fill() error {
	if cfg.Source == nil || cfg.Control == nil {
		return errors.New("dashboard: no source of snapshots")
	}
	if cfg.Refresh <= 0 {
		cfg.Refresh = time.Second
	}
	if cfg.Out == nil {
		cfg.Out = os.Stdout
	}
	if cfg.Err == nil {
		cfg.Err = os.Stderr
	}
	if cfg.Env == nil {
		cfg.Env = os.Environ()
	}
	if cfg.Themes == nil {
		cfg.Themes = builtinThemes
	}
	switch cfg.Color {
	case "", "auto", "truecolor", "256", "16", "none":
		return nil
	}
	return fmt.Errorf("color %q: use auto, truecolor, 256, 16 or none", cfg.Color)
}

func profileOf(color string) (p colorprofile.Profile, ok bool) {
	switch color {
	case "truecolor":
		return colorprofile.TrueColor, true
	case "256":
		return colorprofile.ANSI256, true
	case "16":
		return colorprofile.ANSI, true
	case "none":
		return colorprofile.ASCII, true
	}
	return 0, false
}

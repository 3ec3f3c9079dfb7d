package calltest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Line is one line of a ladder.
type Line struct {
	Text  string
	Words []string // without the remark
}

// Box says whether it is something that the box must do.
func (l Line) Box() bool { return len(l.Words) > 0 && l.Words[0] == "box" }

// Own says whether it is about the box itself ("box : talking"), not about a message.
func (l Line) Own() bool { return l.Box() && len(l.Words) > 1 && l.Words[1] == ":" }

// To is whom the box speaks to.
func (l Line) To() string {
	if l.Box() && len(l.Words) > 2 && l.Words[1] == "->" {
		return l.Words[2]
	}
	return ""
}

// Said is what the box must do, without the remark.
func (l Line) Said() string { return strings.Join(l.Words, " ") }

// Play runs a test for each ladder in a folder.
func Play(t *testing.T, folder string, play func(t *testing.T, file string, lines []Line)) {
	files, err := filepath.Glob(filepath.Join(folder, "*.ladder"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no ladders found: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".ladder"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, file, Lines(string(text)))
		})
	}
}

// Lines reads the text of a ladder.
func Lines(text string) (lines []Line) {
	for raw := range strings.Lines(text) {
		raw = strings.TrimRight(raw, "\n")
		lines = append(lines, Line{Text: raw, Words: strings.Fields(strings.SplitN(raw, "#", 2)[0])})
	}
	return lines
}

// FirstDifference shows where two texts part.
func FirstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\n want %q\n got  %q\nin all:\n%s", i+1, w[i], g[i], got)
		}
	}
	return got
}

// Value is that of the word "key=value".
func Value(words []string, key string) (string, bool) {
	for _, w := range words {
		if v, ok := strings.CutPrefix(w, key+"="); ok {
			return v, true
		}
	}
	return "", false
}

// Method is the one that an actor's answer is for: "for=BYE", else INVITE.
func Method(words []string) string {
	if v, ok := Value(words, "for"); ok {
		return v
	}
	return "INVITE"
}

// Package announce is what the box says to callers, in German and English: files
// made by a speech synthesiser out of texts.txt (see README.md). It must never know
// when something is said, or to whom.
package announce

import (
	"embed"
	"fmt"
	"strings"

	"linekeeper/sbc/sound"
)

//go:embed texts.txt de/*.alaw en/*.alaw
var files embed.FS

// Text is one announcement.
type Text struct{ Name, German, English string }

// Texts lists all there are, in the order of the list.
func Texts() (list []Text) {
	b, err := files.ReadFile("texts.txt")
	if err != nil {
		return nil // it is embedded
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(line, "|")
		if strings.HasPrefix(line, "#") || len(f) != 3 {
			continue
		}
		list = append(list, Text{strings.TrimSpace(f[0]), strings.TrimSpace(f[1]), strings.TrimSpace(f[2])})
	}
	return list
}

// Octets is an announcement as A-law at 8000 Hz, in "de" or "en"; a language that
// is not there is German. The error names what is missing.
func Octets(language, name string) ([]byte, error) {
	if language != "en" {
		language = "de"
	}
	b, err := files.ReadFile(language + "/" + name + ".alaw")
	if err != nil {
		return nil, fmt.Errorf("announcement %s: %w", name, err)
	}
	return b, nil
}

// Say is a source that says one announcement after the other, once.
func Say(language string, names ...string) (*sound.Sequence, error) {
	var list []sound.Source
	for _, n := range names {
		b, err := Octets(language, n)
		if err != nil {
			return nil, err
		}
		list = append(list, sound.NewClip(b, 1))
	}
	return sound.NewSequence(list...), nil
}

package appliance

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"linekeeper/sbc/provider"
)

// The README is where people look first; what it lists must be there, and what
// is there must be listed.

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReadmeListsEveryLadder(t *testing.T) {
	text := readme(t)
	var files []string
	for _, pattern := range []string{"../testdata/ladders/*.ladder", "../testdata/ladders/room/*.ladder"} {
		some, err := filepath.Glob(pattern)
		if err != nil || len(some) == 0 {
			t.Fatalf("no ladders: %v", err)
		}
		files = append(files, some...)
	}
	listed := 0
	for _, f := range files {
		ladder, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := bytes.Cut(ladder, []byte("\n"))
		what, ok := strings.CutPrefix(string(first), "# ")
		if !ok {
			t.Errorf("%s does not say in its first line what happens", f)
		}
		line := "- `" + strings.TrimSuffix(strings.TrimPrefix(f, "../testdata/ladders/"), ".ladder") + "`: " + what + "\n"
		if !strings.Contains(text, line) {
			t.Errorf("the README lacks the line %s", line)
			continue
		}
		listed++
	}
	_, section, _ := strings.Cut(text, "### Ladders")
	section, _, _ = strings.Cut(section, "\n## ")
	if n := strings.Count(section, "\n- `"); n != listed {
		t.Errorf("the README lists %d ladders, %d are there", n, listed)
	}
}

func TestReadmeListsEveryRoom(t *testing.T) {
	rooms := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9/]*[a-z0-9])` \\|").FindAllStringSubmatch(readme(t), -1) {
		if strings.Contains(m[1], "/") || m[1] == "appliance" || m[1] == "sbc" || m[1] == "survivability" {
			rooms[m[1]] = true
		}
	}
	for _, top := range []string{"cmd", "appliance", "sbc", "survivability", "netcfg"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.IsDir() || e.Name() == "testdata" {
				return err
			}
			code, err := filepath.Glob(filepath.Join(path, "*.go"))
			room := strings.TrimPrefix(filepath.ToSlash(path), "../")
			if len(code) > 0 && !rooms[room] {
				t.Errorf("the README has no line for %s", room)
			}
			if len(code) > 0 {
				delete(rooms, room)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for room := range rooms {
		t.Errorf("the README has a line for %s, which is not there", room)
	}
}

func TestReadmeNamesEveryProfileAndTarget(t *testing.T) {
	text := readme(t)
	for _, name := range provider.Names() {
		if !strings.Contains(text, "`"+string(name)+"`") {
			t.Errorf("the README does not name the profile %s", name)
		}
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\bmake ([a-z]+)\b`).FindAllStringSubmatch(strings.Join(regexp.MustCompile("(?m)^    make .*$|`make [a-z]+`").FindAllString(text, -1), "\n"), -1) {
		if !regexp.MustCompile(`(?m)^` + m[1] + `:`).Match(makefile) {
			t.Errorf("the README speaks of make %s, which is not there", m[1])
		}
	}
}

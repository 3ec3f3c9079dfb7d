package law

import (
	"strings"
	"testing"
)

// law is one rule: find says every breach, each as "place: what".
type law struct {
	name string
	find func(*house) []string
}

var laws = []law{
	{"imports go downwards only", floorsHold},
	{"lower floors are pure", lowerFloorsArePure},
	{"sipgo stays behind sbc/sip", sipgoHasOneDoor},
	{"every module has its reason", modulesHaveReasons},
	{"the top folder is as agreed", topFolderIsAgreed},
	{"every package says what it is", packagesSpeak},
	{"nothing runs before main", noInit},
	{"nothing global can change", noMutableGlobals},
	{"nobody sleeps", nobodySleeps},
	{"files and functions are short", thingsAreShort},
	{"metrics carry the house's name", metricsAreNamed},
	{"errors and log lines are lower case", wordsAreLowerCase},
	{"no machine's paths are in the text", noMachinePaths},
}

func TestTheHouseKeepsItsLaws(t *testing.T) {
	h := readHouse(t)
	if len(h.packages) < 5 {
		t.Fatalf("only %d packages found: the law looks at the wrong folder", len(h.packages))
	}
	for _, l := range laws {
		t.Run(l.name, func(t *testing.T) {
			for _, breach := range l.find(h) {
				t.Error(breach)
			}
		})
	}
}

func TestEachLawCatchesItsBreach(t *testing.T) {
	caught := map[string]bool{}
	for _, b := range breaches {
		t.Run(b.law+"/"+b.name, func(t *testing.T) {
			found := lawNamed(t, b.law).find(imaginary(t, b.files))
			caught[b.law] = true
			if b.want == "" {
				for _, breach := range found {
					t.Errorf("an honest house is blamed: %s", breach)
				}
				return
			}
			if len(found) != 1 || !strings.Contains(found[0], b.want) {
				t.Errorf("found %q, want one breach that says %q", found, b.want)
			}
		})
	}
	for _, l := range laws {
		if !caught[l.name] {
			t.Errorf("no breach shows that %q can fail", l.name)
		}
	}
}

func lawNamed(t *testing.T, name string) law {
	t.Helper()
	for _, l := range laws {
		if l.name == name {
			return l
		}
	}
	t.Fatalf("there is no law %q", name)
	return law{}
}

#!/usr/bin/env bash
# One would guess: a custom resource that its controller has not looked at yet is in progress, or
# unknown; so waiting for it waits for the controller.
# What happens: kstatus, by which tools wait for what they applied, calls a resource without status
# Current: a wait may end before any controller saw the resource. Once there is a status with an
# older observedGeneration, or a condition Ready that is False, it is InProgress.
# Versions: sigs.k8s.io/cli-utils 0.37.2, k8s.io/apimachinery 0.30.1, Go 1.26. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type fields = map[string]any

func main() {
	cases := []struct {
		name   string
		status fields
		stated status.Status
	}{
		{"no status", nil, status.CurrentStatus},
		{"observedGeneration 1 of 2", fields{"observedGeneration": int64(1)}, status.InProgressStatus},
		{"Ready is False", fields{"conditions": []any{fields{"type": "Ready", "status": "False"}}},
			status.InProgressStatus},
	}
	for _, one := range cases {
		thing := &unstructured.Unstructured{Object: fields{
			"apiVersion": "example.com/v1",
			"kind":       "Thing",
			"metadata":   fields{"name": "one", "generation": int64(2)},
			"spec":       fields{"wanted": "yes"},
		}}
		if one.status != nil {
			thing.Object["status"] = one.status
		}
		seen, err := status.Compute(thing)
		if err != nil {
			fmt.Println("changed:", one.name, err)
			os.Exit(1)
		}
		fmt.Printf("%s: %s\n", one.name, seen.Status)
		if seen.Status != one.stated {
			fmt.Printf("changed: %s was stated\n", one.stated)
			os.Exit(1)
		}
	}
}
GO
go mod init finding 2>/dev/null
go get sigs.k8s.io/cli-utils@v0.37.2 k8s.io/apimachinery@v0.30.1 2>/dev/null
go mod tidy 2>/dev/null
go list -m sigs.k8s.io/cli-utils k8s.io/apimachinery
go run .

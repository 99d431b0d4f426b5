// Verdicts asks the real judges of GitOps tools: kstatus (Flux, Helm and kubectl go by it), Flux's health check
// expressions, and Argo CD's Lua scripts, run as Argo CD runs them.
//
// It reads {"expressions": {...}, "objects": [...], "scripts": [{"source", "object"}]} and writes {"verdicts":
// [{"kstatus", "flux"}], "results": [...]}, each list in the order of the input.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// patience is how long Argo CD lets a script run.
const patience = time.Second

type input struct {
	Expressions kustomize.HealthCheckExpressions `json:"expressions"`
	Objects     []*unstructured.Unstructured     `json:"objects"`
	Scripts     []script                         `json:"scripts"`
}

type script struct {
	Source string         `json:"source"`
	Object map[string]any `json:"object"`
}

type verdict struct {
	Kstatus string `json:"kstatus"`
	Flux    string `json:"flux"`
}

type output struct {
	Verdicts []verdict `json:"verdicts"`
	Results  []any     `json:"results"`
}

func main() {
	if err := answer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer() error {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	out := output{Verdicts: []verdict{}, Results: []any{}}
	evaluator, err := cel.NewStatusEvaluator(&in.Expressions)
	if err != nil {
		return fmt.Errorf("expressions: %w", err)
	}
	for _, object := range in.Objects {
		v, err := judge(evaluator, object)
		if err != nil {
			return err
		}
		out.Verdicts = append(out.Verdicts, v)
	}
	for _, s := range in.Scripts {
		result, err := run(s)
		if err != nil {
			return fmt.Errorf("script: %w", err)
		}
		out.Results = append(out.Results, result)
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func judge(evaluator *cel.StatusEvaluator, object *unstructured.Unstructured) (verdict, error) {
	computed, err := status.Compute(object)
	if err != nil {
		return verdict{}, fmt.Errorf("kstatus: %w", err)
	}
	evaluated, err := evaluator.Evaluate(context.Background(), object)
	if err != nil {
		return verdict{}, fmt.Errorf("flux: %w", err)
	}
	return verdict{computed.Status.String(), evaluated.Status.String()}, nil
}

// run does as argo-cd's util/lua: Lua 5.1 with the libraries base, table and package, and of os the time alone.
func run(s script) (any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	state.OpenLibs()
	for _, absent := range []string{"string", "math", "io", "debug", "channel", "coroutine"} {
		state.SetGlobal(absent, lua.LNil)
	}
	safe := state.NewTable()
	whole := state.GetGlobal("os").(*lua.LTable)
	for _, name := range []string{"date", "time"} {
		safe.RawSetString(name, whole.RawGetString(name))
	}
	state.GetField(state.GetGlobal("package"), "loaded").(*lua.LTable).RawSetString("os", safe)
	state.SetGlobal("os", lua.LNil)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", toLua(state, s.Object))
	if err := state.DoString(s.Source); err != nil {
		return nil, err
	}
	return fromLua(state.Get(-1)), nil
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case bool:
		return lua.LBool(v)
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case []any:
		table := state.NewTable()
		for _, item := range v {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range v {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	}
	return lua.LNil
}

func fromLua(value lua.LValue) any {
	switch v := value.(type) {
	case lua.LBool:
		return bool(v)
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return float64(v)
	case *lua.LTable:
		if v.Len() > 0 {
			list := make([]any, 0, v.Len())
			v.ForEach(func(_, item lua.LValue) { list = append(list, fromLua(item)) })
			return list
		}
		object := map[string]any{}
		v.ForEach(func(key, item lua.LValue) { object[lua.LVAsString(key)] = fromLua(item) })
		return object
	}
	return nil
}

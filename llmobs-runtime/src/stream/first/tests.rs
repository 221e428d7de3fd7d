//! Items of streams as the APIs send them: which of them is the first token.

use serde_json::json;

use super::*;

#[test]
fn an_event_that_brings_nothing_is_no_token() {
    for item in [
        json!(null),
        json!(""),
        json!([]),
        json!({}),
        json!([{"choices": []}, ""]),
        // OpenAI, chat: the role, the end, and the usage.
        json!({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}),
        json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [{
            "delta": {"role": "assistant", "content": "", "refusal": null, "tool_calls": []},
            "logprobs": {"content": []}, "finish_reason": null
        }]}),
        json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}),
        json!({"choices": [{"text": "", "index": 0}]}),
        // OpenAI, responses.
        json!({"type": "response.created", "response": {
            "id": "r", "instructions": "Be short.", "output": [], "input": [{"text": "?"}],
            "text": {"format": {"type": "text"}}, "tools": [{"type": "function", "name": "f"}],
            "metadata": {"text": "mine"}, "reasoning": {"effort": null, "summary": null}
        }}),
        json!({"type": "response.output_item.added", "item": {
            "type": "message", "role": "assistant", "content": []
        }}),
        json!({"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}}),
        json!({"type": "response.output_text.delta", "delta": ""}),
        // Anthropic.
        json!({"type": "message_start", "message": {
            "id": "m", "type": "message", "role": "assistant", "content": [], "stop_reason": null,
            "usage": {"input_tokens": 25, "output_tokens": 1}
        }}),
        json!({"type": "ping"}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_start", "content_block": {"type": "thinking", "thinking": ""}}),
        json!({"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "E"}}),
        json!({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": ""}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}}),
        // Gemini.
        json!({"candidates": [{"content": {"parts": [], "role": "model"}, "index": 0}]}),
        json!({"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}]}),
        json!({"usageMetadata": {"promptTokenCount": 4}, "modelVersion": "gemini"}),
        // Ollama.
        json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": true}),
        json!({"model": "m", "response": "", "done": false}),
        // Bedrock and Cohere.
        json!({"messageStart": {"role": "assistant"}}),
        json!({"contentBlockStop": {"contentBlockIndex": 0}}),
        json!({"type": "message-start", "delta": {"message": {"role": "assistant", "content": []}}}),
        json!({"type": "content-start", "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
        // A message by itself.
        json!({"role": "assistant", "content": ""}),
        json!({"role": "assistant"}),
    ] {
        assert!(!brings_token(&item), "{item}");
    }
}

#[test]
fn text_thoughts_and_calls_of_tools_are_tokens() {
    for item in [
        json!("H"),
        json!(["", "H"]),
        json!({"choices": [{"delta": {"content": "H"}}]}),
        json!({"choices": [{"delta": {"reasoning_content": "Hm"}}]}),
        json!({"choices": [{"delta": {"content": null, "refusal": "No"}}]}),
        json!({"choices": [{"delta": {"tool_calls": [
            {"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}
        ]}}]}),
        json!({"choices": [{"delta": {}}, {"delta": {"content": "H"}}]}),
        json!({"choices": [{"text": "H"}]}),
        json!({"type": "response.output_text.delta", "delta": "H"}),
        json!({"type": "response.reasoning_summary_text.delta", "delta": "H"}),
        json!({"type": "response.output_item.added", "item": {
            "type": "function_call", "name": "f", "arguments": ""
        }}),
        json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "H"}}),
        json!({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "H"}}),
        json!({"type": "content_block_start", "content_block": {
            "type": "tool_use", "id": "t", "name": "f", "input": {}
        }}),
        json!({"candidates": [{"content": {"parts": [{"text": "H", "thought": true}]}}]}),
        json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]}}]}),
        json!({"candidates": [{"content": {"parts": [
            {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}
        ]}}]}),
        json!({"message": {"role": "assistant", "content": "H"}, "done": false}),
        json!({"message": {"content": "", "tool_calls": [{"function": {"name": "f"}}]}, "done": false}),
        json!({"response": "H", "done": false}),
        json!({"contentBlockDelta": {"delta": {"text": "H"}, "contentBlockIndex": 0}}),
        json!({"contentBlockStart": {"start": {"toolUse": {"toolUseId": "t", "name": "f"}}}}),
        json!({"type": "content-delta", "delta": {"message": {"content": {"text": "H"}}}}),
        json!({"type": "tool-call-start", "delta": {"message": {"tool_calls": {"id": "t"}}}}),
        json!({"role": "assistant", "content": [{"type": "text", "text": "H"}]}),
    ] {
        assert!(brings_token(&item), "{item}");
    }
}

#[test]
fn json_of_which_nothing_is_known_counts() {
    for item in [
        json!(0),
        json!(false),
        json!({"row": 1}),
        json!({"type": "mine", "text": ""}),
        json!([{"row": null}]),
    ] {
        assert!(brings_token(&item), "{item}");
    }
}

#[test]
fn a_deep_event_is_no_harm() {
    let mut deep = json!({"text": "H"});
    for _ in 0..100 {
        deep = json!({"parts": [deep]});
    }
    assert!(!brings_token(&json!({"candidates": [deep]})));
}

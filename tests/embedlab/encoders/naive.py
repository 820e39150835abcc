"""The methods once more, one text at a time and one number after the other,
sharing no code with embedlab.
"""

import math

import torch


def rms_norm(states, norm):
    return (
        norm.weight
        * states
        / torch.sqrt((states**2).mean(-1, keepdim=True) + norm.variance_epsilon)
    )


def rotated(states, theta):
    """Rotary position embedding of one head `[L, w]`:
    dimensions i and i + w/2 are one complex number that turns.
    """
    half = states.shape[1] // 2
    numbers = torch.complex(states[:, :half], states[:, half:])
    for position in range(len(states)):
        for i in range(half):
            angle = position * theta ** (-i / half)
            numbers[position, i] *= complex(math.cos(angle), math.sin(angle))
    return torch.cat([numbers.real, numbers.imag], dim=1)


@torch.no_grad()
def decoder_states(model, embeddings, sees):
    """Every layer's states of one text in a Llama,
    Mistral or Qwen2 of transformers, from its weights alone.

    Args:
        model: the backbone.
        embeddings: `[L, d]`.
        sees: `sees(row, column, layer)` says whether a token attends to another.

    Returns:
        a list of `[L, d]`, one per layer, and the last one once more after the final norm.
    """
    config = model.config
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    width = config.hidden_size // heads
    theta = config.rope_parameters["rope_theta"]
    states, found = embeddings, []
    for number, layer in enumerate(model.layers):
        normed = rms_norm(states, layer.input_layernorm)
        attention = layer.self_attn
        q, k, v = (getattr(attention, f"{name}_proj")(normed) for name in "qkv")
        hidden = torch.zeros(len(states), len(states))
        for row in range(len(states)):
            for column in range(len(states)):
                if not sees(row, column, number):
                    hidden[row, column] = -torch.inf
        rotated_keys = [
            rotated(k[:, group * width : (group + 1) * width], theta) for group in range(groups)
        ]
        out = []
        for head in range(heads):
            group = head // (heads // groups)
            query = rotated(q[:, head * width : (head + 1) * width], theta)
            shares = (
                torch.einsum("rw,cw->rc", query, rotated_keys[group]) / math.sqrt(width) + hidden
            ).softmax(-1)
            out.append(torch.einsum("rc,cw->rw", shares, v[:, group * width : (group + 1) * width]))
        states = states + attention.o_proj(torch.cat(out, dim=1))
        normed = rms_norm(states, layer.post_attention_layernorm)
        mlp = layer.mlp
        states = states + mlp.down_proj(
            torch.nn.functional.silu(mlp.gate_proj(normed)) * mlp.up_proj(normed)
        )
        found.append(states)
    return [*found, rms_norm(states, model.norm)]


def everyone(row, column, layer):
    return True


def causal(row, column, layer):
    return column <= row


@torch.no_grad()
def last_states(model, ids, sees):
    """States after the final norm `[L, d]` for a list of token ids."""
    return decoder_states(model, model.get_input_embeddings().weight[torch.tensor(ids)], sees)[-1]


def layer_norm(states, weight, bias):
    centred = states - states.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-5) * weight + bias


def cross_attention(
    queries, context, weights, heads, block="cross_attend_blocks", names=("norm", "norm_context")
):
    """The block on `queries [Q, d]` and `context [C, d]`, from the stored tensors by their names.

    `names` are the norms of queries and context: NV-Embed's, or the other way round in Pooling and
    Attention.
    """
    w = {
        key.removeprefix(f"{block}."): value
        for key, value in weights.items()
        if key.startswith(block)
    }
    normed = layer_norm(queries, w[f"0.{names[0]}.weight"], w[f"0.{names[0]}.bias"])
    seen = layer_norm(context, w[f"0.{names[1]}.weight"], w[f"0.{names[1]}.bias"])
    inner = len(w["0.fn.to_q.weight"])
    k, v = w["0.fn.to_kv.weight"][:inner], w["0.fn.to_kv.weight"][inner:]
    q = torch.einsum("qd,hid->hqi", normed, w["0.fn.to_q.weight"].view(heads, inner // heads, -1))
    k = torch.einsum("cd,hid->hci", seen, k.view(heads, inner // heads, -1))
    v = torch.einsum("cd,hid->hci", seen, v.view(heads, inner // heads, -1))
    shares = (torch.einsum("hqi,hci->hqc", q, k) / math.sqrt(inner // heads)).softmax(-1)
    out = torch.einsum("hqc,hci->qhi", shares, v).reshape(len(queries), inner)
    queries = queries + out @ w["0.fn.to_out.weight"].T
    normed = layer_norm(queries, w["1.norm.weight"], w["1.norm.bias"])
    wide = normed @ w["1.fn.net.0.weight"].T + w["1.fn.net.0.bias"]
    half = wide.shape[1] // 2
    gate = wide[:, half:]
    gelu = gate * 0.5 * (1 + torch.erf(gate / math.sqrt(2)))
    return queries + (wide[:, :half] * gelu) @ w["1.fn.net.2.weight"].T + w["1.fn.net.2.bias"]


def unit(vector):
    return vector / vector.norm()

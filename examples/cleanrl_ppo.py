"""PPO in one file, in CleanRL's style, against `gym.make_vec`: nothing of `agents`, every line of the algorithm here.

python examples/cleanrl_ppo.py                        half a minute
python examples/cleanrl_ppo.py --env-id MovieDescription-v0
python examples/cleanrl_ppo.py --help                 every setting

What differs from a PPO for long episodes: an episode is one step, so there is no bootstrapping, no discount and no
generalised advantage estimation: the advantage is r − V(s). The native vector environment resets in the same step, so
that the observation after a step belongs to the next round, and no `done` has to be looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
import tyro
from torch import nn, optim
from torch.distributions import Categorical

import prompt_bandits  # registers the environments
from prompt_bandits import RecordBanditDatasetVector


@dataclass
class Args:
    env_id: str = "PromptPersonalization-Synthetic-v0"
    """the environment"""
    n_actions: int = 10
    """candidate prompts"""
    seed: int = 0
    """of everything"""
    total_rounds: int = 200_000
    """of training"""
    num_envs: int = 256
    """rounds played at once"""
    num_steps: int = 8
    """steps of all places before each update"""
    learning_rate: float = 2e-3
    """of Adam, decaying to 0"""
    num_minibatches: int = 4
    """of each pass over the rounds of an update"""
    update_epochs: int = 4
    """passes over them"""
    clip_coef: float = 0.2
    """how far the policy moves in an update"""
    ent_coef: float = 0.0
    """weight of the entropy: what explores"""
    vf_coef: float = 0.5
    """weight of the value's error"""
    max_grad_norm: float = 0.5
    """clip of the gradient"""
    record: Path | None = None
    """a new folder for the rounds of training, with the probabilities that they were played with"""


def layer_init(layer: nn.Linear, std: float = np.sqrt(2)) -> nn.Linear:
    nn.init.orthogonal_(layer.weight, std)
    nn.init.constant_(layer.bias, 0.0)
    return layer


class Agent(nn.Module):
    def __init__(self, dim: int, n_actions: int) -> None:
        super().__init__()
        self.critic = nn.Sequential(
            layer_init(nn.Linear(dim, 64)), nn.Tanh(), layer_init(nn.Linear(64, 64)), nn.Tanh(),
            layer_init(nn.Linear(64, 1), std=1.0),
        )  # fmt: skip
        self.actor = nn.Sequential(
            layer_init(nn.Linear(dim, 64)), nn.Tanh(), layer_init(nn.Linear(64, 64)), nn.Tanh(),
            layer_init(nn.Linear(64, n_actions), std=0.01),
        )  # fmt: skip

    def get_value(self, x):
        return self.critic(x)[:, 0]

    def get_action_and_value(self, x, action=None):
        probs = Categorical(logits=self.actor(x))
        if action is None:
            action = probs.sample()
        return action, probs.log_prob(action), probs.entropy(), self.get_value(x)

    @torch.no_grad()
    def action_dist(self, obs: prompt_bandits.Observation):
        """This one method makes the network a policy of `prompt_bandits`: evaluated exactly, or used for logging."""
        return torch.softmax(self.actor(torch.as_tensor(obs.features())).double(), dim=1).numpy()


def main(args: Args) -> None:
    torch.manual_seed(args.seed)  # of weights and draws; the rounds' seed goes to reset
    torch.set_num_threads(1)  # the networks are small

    envs = gym.make_vec(args.env_id, num_envs=args.num_envs, n_actions=args.n_actions, flatten_obs=True)
    simulator = envs.unwrapped.simulator
    if args.record is not None:
        envs = RecordBanditDatasetVector(envs, args.record)
    dim, batch_size = envs.single_observation_space.shape[0], args.num_envs * args.num_steps
    agent = Agent(dim, int(envs.single_action_space.n))
    optimizer = optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)

    obs = torch.zeros((args.num_steps, args.num_envs, dim))
    actions = torch.zeros((args.num_steps, args.num_envs), dtype=torch.long)
    logprobs, rewards, values = (torch.zeros((args.num_steps, args.num_envs)) for _ in range(3))

    start = time.time()
    next_obs, _ = envs.reset(seed=args.seed)
    num_updates = max(1, args.total_rounds // batch_size)
    for update in range(num_updates):
        optimizer.param_groups[0]["lr"] = (1 - update / num_updates) * args.learning_rate

        for step in range(args.num_steps):
            obs[step] = torch.as_tensor(next_obs)
            with torch.no_grad():
                actions[step], logprobs[step], _, values[step] = agent.get_action_and_value(obs[step])
            next_obs, reward, _, _, _ = envs.step(actions[step].numpy())
            rewards[step] = torch.as_tensor(reward, dtype=torch.float32)
            if args.record is not None:
                envs.annotate(propensity=logprobs[step].exp().numpy())

        b_obs, b_actions, b_logprobs = obs.reshape(-1, dim), actions.reshape(-1), logprobs.reshape(-1)
        b_returns = rewards.reshape(-1)  # one step an episode: the return is the reward
        b_advantages = b_returns - values.reshape(-1)

        for _ in range(args.update_epochs):
            for mb in torch.randperm(batch_size).chunk(args.num_minibatches):
                _, newlogprob, entropy, newvalue = agent.get_action_and_value(b_obs[mb], b_actions[mb])
                ratio = (newlogprob - b_logprobs[mb]).exp()
                advantages = (b_advantages[mb] - b_advantages[mb].mean()) / (b_advantages[mb].std() + 1e-8)
                clipped = torch.clamp(ratio, 1 - args.clip_coef, 1 + args.clip_coef)
                pg_loss = torch.max(-advantages * ratio, -advantages * clipped).mean()
                v_loss = 0.5 * ((newvalue - b_returns[mb]) ** 2).mean()
                loss = pg_loss - args.ent_coef * entropy.mean() + args.vf_coef * v_loss

                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()

        if update % max(1, num_updates // 5) == 0 or update == num_updates - 1:
            played = (update + 1) * batch_size
            print(
                f"rounds {played:>7}  mean reward {b_returns.mean():>7.3f}  entropy {entropy.mean():.3f}  "
                f"optimality {simulator.optimality(agent, 2000):>6.3f}  rounds/s {played / (time.time() - start):,.0f}"
            )
    envs.close()

    print(f"\npolicy value {simulator.policy_value(agent)}, uniform {simulator.uniform_value()}", end="")
    print(f", optimal {simulator.optimal_value()}; optimality {simulator.optimality(agent):.3f}")


if __name__ == "__main__":
    main(tyro.cli(Args))

"""How two networks are fitted against each other: one makes images, the other tells them from real ones."""

from __future__ import annotations

from typing import Any

from edgearch.framework import keras, tf


class Spread(keras.layers.Layer):  # type: ignore[misc]
    """Tell each example of a batch how much the batch varies: a generator that repeats itself is found out.

    Source: T. Karras et al., arXiv:1710.10196, section 3.
    """

    def call(self, features: Any) -> Any:
        """Return (batch, features + 1)."""
        variance = tf.math.reduce_variance(features, axis=0)
        spread = tf.reduce_mean(tf.sqrt(variance + 1e-8))  # the root of 0 has no gradient
        return tf.concat([features, tf.fill((tf.shape(features)[0], 1), spread)], axis=1)


class Adversarial(keras.Model):  # type: ignore[misc]
    """A generator and a critic, the critic's answer a logit: positive for what it takes for real.

    Source: I. Goodfellow et al., arXiv:1406.2661, with the generator's non-saturating loss.
    """

    critic_steps = 1

    def __init__(self, generator: Any, critic: Any, name: str) -> None:
        super().__init__(name=name)
        self.generator, self.critic = generator, critic

    def compile(self, optimizer: Any, **options: Any) -> None:
        """Keep ``optimizer`` for the generator, and one like it for the critic."""
        super().compile(optimizer, **options)
        config = optimizer.get_config()
        if isinstance(config["learning_rate"], dict):
            # A schedule counts steps, and the critic takes more: it must not come to rest before its rival.
            config["learning_rate"]["config"]["decay_steps"] *= self.critic_steps
        self.critic_optimizer = type(optimizer).from_config(config)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the critic's logits for a batch of images, (batch, 1)."""
        return self.critic(inputs, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Take the critic's steps on a batch of real images, then one of the generator."""
        _, real = data
        for _ in range(self.critic_steps):
            critic_loss = self._critic_step(real)
        with tf.GradientTape() as tape:
            made = self.generator(self._noise(real), training=True)
            loss = self.generator_loss(self.critic(made, training=True))
        self.optimizer.minimize(loss, self.generator.trainable_variables, tape=tape)
        return {"loss": loss, "critic_loss": critic_loss}

    def generator_loss(self, made: Any) -> Any:
        """Return how surely the critic tells the generator's images, whose logits are ``made``."""
        return tf.reduce_mean(tf.nn.softplus(-made))

    def critic_loss(self, real: Any, made: Any) -> Any:
        """Return how badly the critic tells images, (batch, *shape) each, with labels of 0.9 for real ones.

        Source of the smoothing: T. Salimans et al., arXiv:1606.03498, section 3.4.
        """
        cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits
        true, false = self.critic(real, training=True), self.critic(made, training=True)
        return tf.reduce_mean(
            cross_entropy(tf.fill(tf.shape(true), 0.9), true) + cross_entropy(tf.zeros_like(false), false)
        )

    def _critic_step(self, real: Any) -> Any:
        made = self.generator(self._noise(real), training=True)
        with tf.GradientTape() as tape:
            loss = self.critic_loss(real, made)
        self.critic_optimizer.minimize(loss, self.critic.trainable_variables, tape=tape)
        return loss

    def _noise(self, real: Any) -> Any:
        return tf.random.normal((tf.shape(real)[0], *self.generator.input_shape[1:]))


class Wasserstein(Adversarial):
    """The critic's answer is no probability but a height, as steep as 1 between real and generated images.

    Source: I. Gulrajani et al., "Improved Training of Wasserstein GANs", arXiv:1704.00028, algorithm 1.
    """

    critic_steps = 3
    penalty = 10.0

    def generator_loss(self, made: Any) -> Any:
        """Return how low the critic places the generator's images."""
        return -tf.reduce_mean(made)

    def critic_loss(self, real: Any, made: Any) -> Any:
        """Return the negative distance of the two heights, and the penalty on slopes other than 1."""
        share = tf.random.uniform((tf.shape(real)[0], 1, 1, 1))
        between = share * real + (1 - share) * made
        with tf.GradientTape() as tape:
            tape.watch(between)
            heights = self.critic(between, training=True)
        slopes = tf.sqrt(tf.reduce_sum(tape.gradient(heights, between) ** 2, axis=(1, 2, 3)) + 1e-12)
        distance = tf.reduce_mean(self.critic(real, training=True)) - tf.reduce_mean(
            self.critic(made, training=True)
        )
        return self.penalty * tf.reduce_mean((slopes - 1) ** 2) - distance

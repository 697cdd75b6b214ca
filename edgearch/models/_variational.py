"""How a variational autoencoder is fitted: the evidence lower bound, with the reparameterization trick.

Source: D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", arXiv:1312.6114.
"""

from __future__ import annotations

from typing import Any

from edgearch.framework import keras, tf


class Variational(keras.Model):  # type: ignore[misc]
    """An encoder and a decoder, fitted together: the task's likelihood, and the divergence from the prior."""

    def __init__(self, encoder: Any, decoder: Any, name: str) -> None:
        super().__init__(name=name)
        self.encoder, self.decoder = encoder, decoder

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the copies of a batch; in training z is drawn, else it is the mean."""
        return self._copied(inputs, training)[0]

    def train_step(self, data: Any) -> dict[str, Any]:
        """Take one step on the negative ELBO of a batch, one draw of z an example."""
        with tf.GradientTape() as tape:
            losses = self._bound(data, training=True)
        self.optimizer.minimize(losses["loss"], self.trainable_variables, tape=tape)
        return losses

    def test_step(self, data: Any) -> dict[str, Any]:
        """Return the losses of a batch at the mean of z, as a device computes them."""
        return self._bound(data, training=False)

    def _bound(self, data: Any, training: bool) -> dict[str, Any]:
        inputs, targets = data
        copies, divergence = self._copied(inputs, training)
        likelihood = self.compute_loss(inputs, targets, copies)
        return {"loss": likelihood + divergence, "likelihood": likelihood, "divergence": divergence}

    def _copied(self, inputs: Any, training: bool) -> tuple[Any, Any]:
        """Return copies, (batch, *shape), and the mean divergence of a batch, in nats."""
        told = self.encoder(inputs, training=training)
        mean, log_variance = told["mean"], told["log_variance"]
        noise = tf.random.normal(tf.shape(mean)) if training else 0.0
        z = mean + tf.exp(0.5 * log_variance) * noise
        divergence = 0.5 * tf.reduce_sum(mean**2 + tf.exp(log_variance) - log_variance - 1.0, axis=-1)
        return self.decoder(z, training=training), tf.reduce_mean(divergence)

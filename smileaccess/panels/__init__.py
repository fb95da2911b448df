"""Adapters of the Panel port: lights, buzzer, inputs and the strike."""

"""Limner: readable portraits of users, drawn from what they did."""

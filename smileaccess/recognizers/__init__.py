"""Adapters of the Recognizer port: who is it, and what does the face show?"""
